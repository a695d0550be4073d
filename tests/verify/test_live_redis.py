"""A real deployment on Redis, looked at as it is planned, and broken in one way after another."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
import redis
from celery import Celery
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from live_demo import Demo, plan_in, planned
from places import ROOT
from processes import wait_until
from servers import redis_server, start_redis

from policycompiler.cli import cli
from policycompiler.report.status import status_json, status_text
from policycompiler.sides import Side
from policycompiler.status import state

pytestmark = pytest.mark.server

PRIVATE = b"_kombu.binding_deadlines"
"""kombu writes the time of each refresh of a worker there."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    with redis_server(folder) as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("save", "3600 1")
        yield Demo(folder, "redis", url)


@pytest.fixture(scope="class")
def healthy(demo) -> Iterator[Demo]:
    with ExitStack() as stack:
        for script in ("main", "other", "beat"):
            stack.enter_context(demo.started(script))
        yield demo


@pytest.fixture
def client(demo) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(demo.url) as found:
        yield found


def contents(client: redis.Redis, but: bytes = PRIVATE) -> dict[bytes, object]:
    """All that Redis stores, and the channels that somebody listens to."""
    keys = [key for key in client.scan_iter() if key != but]
    stored: dict[bytes, object] = {key: client.dump(key) for key in keys}
    return {**stored, b"channels": sorted(client.pubsub_channels()), b"patterns": client.pubsub_numpat()}


def sender(demo: Demo) -> Celery:
    return Celery("sender", broker=demo.url, set_as_current=False)


def node(worker: str) -> str:
    return f"worker@{worker}.1.{socket.gethostname()}"


def message(task: str, sender: str, **headers: object) -> str:
    """A message as kombu stores it."""
    return json.dumps({"body": "", "headers": {"task": task, "origin": sender, **headers}, "properties": {}})


class TestAsPlanned:
    def test_a_deployment_as_planned_has_no_findings_and_a_look_changes_nothing(self, healthy, client):
        sender(healthy).send_task("demo.other", queue="elsewhere")
        before = contents(client)
        found = healthy.found()
        assert contents(client) == before
        client.delete("elsewhere")
        assert found.keys() == {"messages-stray"}, found

    def test_dead_letters_are_no_stray_messages(self, healthy, client):
        client.lpush("main.dead", message("demo.quick", "a worker"))
        plan = healthy.plan({"queues/main/dead_letter": True})
        found = healthy.found(plan)
        client.delete("main.dead")
        assert "messages-stray" not in found

    def test_the_command_says_so_too_and_writes_what_prometheus_reads(self, healthy, monkeypatch):
        monkeypatch.setenv("CELERY_BROKER_URL", healthy.url)
        target = healthy.folder / "demo.prom"
        words = ["verify", str(healthy.build), "--live", "--fail-on", "info", "--metrics", str(target)]
        done = CliRunner(catch_exceptions=False).invoke(cli, [*words, "--output-format", "json"])
        assert (done.exit_code, json.loads(done.stdout)["findings"]) == (0, []), done.output
        lines = target.read_text("utf-8").splitlines()
        assert 'policycompiler_verify_findings{service="demo",severity="error"} 0' in lines

    def test_a_plan_of_other_workers_differs_in_each_flag(self, healthy):
        """The processes run with other flags than this plan has."""
        changes = {
            "workers/main": {"queues": ["main"], "pool": "prefork", "concurrency": 5, "replicas": 2},
            "workers/other/options": {"prefetch_multiplier": 4, "max_tasks_per_child": 7},
            "tasks/demo.quick/options": {"rate_limit": "10/m"},
            "tasks/demo.absent": {"queue": "other"},
            "tasks/demo.other": None,
            "celery/version": "5.6",
            "celery/settings/task_track_started": True,
            "broker/version": "5.0",
        }
        found = healthy.found(healthy.plan(changes))
        assert [*found["worker-pool-differs"]] == [
            f"worker `main` runs with `pool` `threads` on `{node('main')}`; planned: `prefork`"
        ]
        flags = " ".join(found["worker-flags-differ"])
        for words in (
            "`concurrency` `2`",
            "`prefetch_multiplier` `1`",
            "`max_tasks_per_child` `1000`",
        ):
            assert words in flags
        assert found["replicas-differ"] == ["worker `main`: 1 answers, the plan has 2 replicas"]
        (version,) = found["worker-version-differs"]
        assert version.endswith("; the plan is compiled for 5.6")
        assert any("`task_track_started` is none on" in each for each in found["worker-settings-differ"])
        (plans,) = found["worker-plan-differs"]
        assert plans.startswith(f"`{node('main')}`, `{node('other')}` read the settings of plan `")
        (options,) = found["task-options-differ"]
        assert options.startswith("demo.quick has `rate_limit` none on ")
        assert [each.split("messages of ")[1][:11] for each in found["task-unregistered"]] == ["demo.absent"]
        assert "`demo.other`" in found["task-undeclared"][0]
        assert found["broker-version-differs"][0].endswith("the workload declares 5.0")

    def test_what_is_in_the_queues_and_what_the_server_does(self, healthy, client):
        send = sender(healthy).send_task
        client.sadd("_kombu.binding.main", "main\x06\x16\x06\x16copies")
        client.sadd("billing:_kombu.binding.mail", "mail\x06\x16\x06\x16mail")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("save", "")
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", int(used / 0.85))
        send("demo.other", queue="elsewhere")
        try:
            found = healthy.found()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 0)
            client.config_set("save", "3600 1")
            client.delete("elsewhere", "billing:_kombu.binding.mail")
            client.srem("_kombu.binding.main", "main\x06\x16\x06\x16copies")
        assert {
            *("redis-evicts", "broker-not-persistent", "broker-memory-high"),
            *("messages-stray", "binding-unplanned", "database-shared"),
        } <= found.keys()
        assert found["messages-stray"] == [
            "queue `elsewhere` holds 1 message, but the plan does not have it and no worker consumes it"
        ]
        assert "`copies`" in found["binding-unplanned"][0]
        assert "`billing:`" in found["database-shared"][0]


def test_a_fleet_that_differs_is_named_process_by_process(demo, tmp_path):
    outdated = planned(tmp_path, "redis", {"tasks/demo.quick/runtime": "5s"})
    with ExitStack() as stack:
        stack.enter_context(demo.started("main", "--queues", "elsewhere", build=outdated))
        stack.enter_context(demo.started("main", AHEAD="40"))
        stack.enter_context(demo.started("main", "--hostname", "stranger@%h", INSTANCE="3"))
        for _ in range(2):
            stack.enter_context(demo.started("beat"))
        shown = demo.look()
    found = demo.found(live=shown)
    assert found["worker-missing"] == ["no process of worker `other` answers; it consumes `other`"]
    assert found["replicas-differ"] == ["worker `main`: 2 answer, the plan has 1 replica"]
    assert "2 processes answer as" in found["node-name-shared"][0]
    assert "`stranger@" in found["worker-unplanned"][0]
    assert found["beat-twice"][0].startswith("2 beats answer: `celerybeat@")
    assert {worker.answers for worker in shown.workers.nodes.values()} == {1, 2}


def test_an_outdated_and_misrouted_worker_with_a_wrong_clock(demo, client, tmp_path):
    outdated = planned(
        tmp_path,
        "redis",
        {"tasks/demo.quick/runtime": "5s", "celery/settings/beat_enable_remote_control": None},
    )
    with (
        demo.started("main", "--queues", "elsewhere", build=outdated, AHEAD="40"),
        demo.started("other"),
    ):
        sender(demo).send_task("demo.quick", queue="main")
        client.lpush("other" + "\x06\x16" + "9", message("celery.ping", "gen1@a"))
        found = demo.found()
    client.delete("main")
    assert found["worker-queues-differ"][0].endswith("consumes `elsewhere`; planned: `main`")
    assert found["queue-unserved"] == ["no worker consumes queue `main`; 1 message waits there"]
    assert any("demo.quick has `time_limit`" in each for each in found["task-options-differ"])
    assert found["worker-plan-differs"][0].startswith(f"`{node('main')}` read the settings of plan `")
    assert "40 s ahead of" in found["clock-skewed"][0]
    assert found["beat-missing"] == ["no beat answers remote control, so no schedule runs"]


def test_messages_that_wait_tell_their_names_and_their_senders(demo, client):
    """A worker whose only slot is busy leaves the rest in the queue."""
    plan = demo.plan(
        {"tasks/demo.other/renamed_from": ["demo.former"], "celery/settings/beat_enable_remote_control": None}
    )
    with demo.started("other") as worker:
        sender(demo).send_task("demo.other", kwargs={"seconds": 60}, queue="other")
        wait_until(lambda: client.hlen("unacked") == 1, "the worker holds its message")
        client.lpush("other", message("demo.former", "gen1@a"), message("demo.unknown", "gen1@a"))
        expires = "2030-01-01T00:00:00.{}+00:00"
        for number in (1, 2):
            beats = {"celery_beat_task": True, "expires": expires.format(number)}
            client.lpush("other", message("demo.quick", f"gen{number}@host", **beats))
        shown = demo.look(plan)
        found, queue = demo.found(plan, shown), shown.broker.queues["other"]
        now = state(Side("demo", plan), shown, (), datetime(2026, 11, 30, tzinfo=UTC))
        # It would finish its tasks first.
        os.killpg(worker.pid, signal.SIGKILL)
        client.flushdb()
        assert found["task-name-old"] == [
            "messages with the earlier name demo.former of demo.other wait in a queue"
        ]
        assert "demo.unknown" in found["task-name-unknown"][0]
        assert found["beat-twice"] == ["two processes sent one firing of `demo.quick`, so two beats run"]
        assert (queue.ready, queue.unacked, queue.delayed) == (4, 1, 0)

    told = json.loads(status_json(now))
    Draft202012Validator(json.loads((ROOT / "schemas" / "status.schema.json").read_text())).validate(told)
    row = next(each for each in told["queues"] if each["name"] == "other")
    assert row == {
        "name": "other",
        "exists": True,
        "ready": 4,
        "unacked": 1,
        "scheduled": 0,
        "consumers": 1,
        "oldest_seconds": None,
    }
    worker = next(each for each in told["workers"] if each["name"] == "other")
    assert worker == {
        "name": "other",
        "seen": 1,
        "expected": 1,
        "busy": 1,
        "slots": 1,
        "nodes": [node("other")],
    }
    text = status_text(now, datetime(2026, 11, 30, tzinfo=UTC))
    assert "other  4      1        0          1          ?" in text
    assert "too few replicas: main" in text
    assert told["beats"] is None


def test_a_status_says_why_it_knows_no_worker(demo, client):
    client.config_set("maxmemory", 1)
    try:
        found = demo.look()
    finally:
        client.config_set("maxmemory", 0)
    now = datetime.now(UTC)
    text = status_text(state(Side("demo", plan_in(demo.build)), found, (), now), now)
    (told,) = [line for line in text.splitlines() if line.startswith("workers: ")]
    assert told.startswith("workers: unknown, because ")
    assert "maxmemory" in told


def test_redbeat_shows_its_entries_and_its_lock(demo, client):
    pytest.importorskip("redbeat")
    changes = {
        "beat": {"scheduler": "redbeat.RedBeatScheduler"},
        "celery/settings/beat_enable_remote_control": None,
    }
    folder = demo.folder / "redbeat"
    build = planned(folder, "redis", changes)
    plan = plan_in(build)
    later = demo.plan({**changes, "schedules": {"later": {"task": "demo.quick", "every": "2h"}}})
    with demo.started("beat", ready="Acquired lock", build=build):
        wait_until(lambda: client.exists("redbeat:tick"), "RedBeat has written its entries")
        runs = demo.look(plan)
    ended = demo.look(plan)
    client.flushdb()
    found = demo.found(plan, runs)
    assert not {name for name in found if name.startswith(("beat-", "schedule-"))}
    changed = demo.found(later, runs)
    assert changed["schedule-entry-missing"] == [
        "schedule `later` sends demo.quick, but the store of beat does not have it"
    ]
    assert "`tick`" in changed["schedule-entry-unplanned"][0]
    assert demo.found(plan, ended)["beat-missing"] == [
        "no beat holds the lock of RedBeat, so no schedule runs"
    ]


def test_a_deployment_with_a_key_prefix_is_seen_and_left_as_it_was(demo, client):
    changes = {"broker/options": {"global_keyprefix": "demo:"}}
    build = planned(demo.folder / "prefixed", "redis", changes)
    with demo.started("main", build=build):
        sender(demo).send_task("demo.other", queue="main")
        before = contents(client, but=b"demo:_kombu.binding_deadlines")
        shown = demo.look(plan_in(build))
        assert contents(client, but=b"demo:_kombu.binding_deadlines") == before
    client.flushdb()
    assert [node.name for node in shown.workers.nodes.values()] == [node("main")]
    found = demo.found(plan_in(build), shown)
    # The message without the prefix is in another queue.
    assert "messages-stray" not in found
    assert shown.broker.queues["main"].ready == 0


def test_nobody_answers(demo):
    shown = demo.look()
    found = demo.found(live=shown)
    assert found["workers-silent"] == ["no worker answers; the plan has 2 replicas of workers"]
    assert "beat-missing" in found
    unseen = demo.found(demo.plan({"celery/settings/beat_enable_remote_control": None}), shown)
    assert unseen["beat-unseen"] == ["nothing shows whether beat runs"]


def test_a_broker_that_refuses_hangs_or_is_gone(demo, client):
    client.config_set("requirepass", "sekret")
    client.auth("sekret")
    try:
        wrong = demo.found(url=demo.url.replace("//", "//:wrong-secret@"))
        none = demo.found()
    finally:
        client.config_set("requirepass", "")
    for found in (wrong, none):
        assert list(found) == ["broker-refused"]
        assert "secret" not in str(found)
    gone = demo.found(url="redis://:wrong-secret@127.0.0.1:1/0")
    assert list(gone) == ["broker-unreachable"]
    assert "secret" not in str(gone)


def test_a_broker_that_hangs(tmp_path):
    with start_redis(tmp_path) as server:
        demo = Demo(tmp_path, "redis", server.url)
        os.kill(server.pids[0], signal.SIGSTOP)
        try:
            assert list(demo.found()) == ["broker-unreachable"]
        finally:
            os.kill(server.pids[0], signal.SIGCONT)
