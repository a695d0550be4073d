"""A plan file may contain anything of the right types: neither `verify` nor `status` fails on it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from live_demo import plan_in, planned
from plans import changed

from policycompiler.cli import cli
from policycompiler.plan import Observed, Plan, Setting, UndecidedError, vocabulary
from policycompiler.reality.live import Live, settings_of
from policycompiler.reality.nodes import Consumed, Held, Node, Workers
from policycompiler.reality.seen import Binding, Firing, Message, Seen, SeenQueue, Server
from policycompiler.sides import Side, SideError
from policycompiler.status import state
from policycompiler.verify.live import findings

NODE = Node(
    "worker@main.1.host",
    "threads",
    2,
    prefetch=3,
    queues=(Consumed("main", "main", "direct", "main", {}), Consumed("news.1", "", "", "", {})),
    tasks={"demo.quick": {"acks_late": "True", "queue": "main"}, "demo.stray": {}},
    settings={"task_acks_late": "x", "timezone": "UTC"},
    handles=frozenset({"demo.quick"}),
    held=(Held("", "main", delayed=True),),
    version="5.x",
    ahead_seconds=-9,
    answers=2,
)
SCALED = NODE._replace(name="worker@other.1.host", autoscale=(1, 3), slots=None, tasks={}, version="4.9.1")
SENT = tuple(
    Message("demo.quick", sender, scheduled=True, expires=expires)
    for sender, expires in (("gen1@a", "2030-01-01T00:00:00+00:00"), ("gen2@a", "never"), ("", ""))
)
LIVE = Live(
    Workers({NODE.name: NODE, SCALED.name: SCALED}, {"celerybeat@host": 2}),
    Seen(
        Server("7.0.1", "allkeys-lru", persistent=False, used_bytes=9, limit_bytes=10, alarms=("disk on a",)),
        {
            "main": SeenQueue("main", ready=3, unacked=1, delayed=0, messages=SENT),
            "other": SeenQueue("other", exists=False),
            "gone": SeenQueue("gone", differs="it differs", visibility_seconds=3.0),
        },
        {"stray": SeenQueue("stray", ready=1)},
        (Binding("main", "main", "copies"),),
        ("", "other:"),
        (Firing("tick", "demo.quick", 1.0), Firing("old", "demo.old", None)),
        beat_lock=True,
        unread=("a part",),
    ),
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    changes = {
        "queues": {"news": {"broadcast": True}},
        "tasks/demo.news": {"queue": "news"},
        "workers/main/queues": ["main", "news"],
        "workers/other": {"queues": ["other"], "concurrency": {"min": 1, "max": 4}},
        "tasks/demo.quick/renamed_from": ["demo.fast"],
        "schedules/daily": {"task": "demo.other", "cron": "0 3 * * *"},
    }
    return plan_in(planned(tmp_path_factory.mktemp("plan"), "redis", changes))


def read(plan: Plan) -> int:
    """How many findings there are; -1 for a plan that lacks a setting."""
    try:
        number = len(list(findings(plan, LIVE)))
        assert state(Side("plan", plan), LIVE, (), datetime(2026, 11, 30, tzinfo=UTC)).queues
    except (UndecidedError, SideError):
        return -1
    return number


def without(plan: Plan, setting: Setting) -> Plan:
    settings = {scope: dict(keys) for scope, keys in plan._settings.items()}
    del settings[setting.scope][setting.key]
    return Plan(settings)


def test_the_plan_of_today_says_where_each_setting_was_seen(plan):
    arguments = {"x-max-priority": 5}
    queue = SeenQueue("main", type="classic", arguments=arguments)
    found = list(settings_of(plan, LIVE._replace(broker=Seen(Server(), {"main": queue}))))
    seen = {each.address: each.origins[0] for each in found}
    assert seen["queue:main/arguments.x-max-priority"] == Observed("broker", "main")
    assert seen["worker:main/pool"] == Observed("worker", NODE.name)
    assert all(vocabulary.find(each.scope.kind, each.key) for each in found)


def test_most_findings_are_in_it(plan):
    assert len({each.code for each in findings(plan, LIVE)}) >= 20


def test_a_changed_or_missing_setting_is_no_reason_to_fail(plan):
    for setting in plan:
        if setting.key != "broker_transport":
            assert read(changed(plan, setting)) >= 0, setting.address
        assert read(without(plan, setting)) >= -1


def test_a_file_that_lacks_a_setting_is_wrong_use(tmp_path):
    build = planned(tmp_path, "redis")
    document = json.loads((build / "plan.json").read_text("utf-8"))
    del document["settings"]["app"]["broker_transport"]
    (build / "plan.json").write_text(json.dumps(document), "utf-8")
    for words in (["verify", "--live"], ["status"]):
        done = CliRunner(catch_exceptions=False).invoke(cli, [*words, str(build)])
        assert done.exit_code == 2
        assert "is not a complete plan" in done.stderr
