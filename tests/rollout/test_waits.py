"""`policycompiler wait` on a real broker: each condition where it holds and where it does not."""

from __future__ import annotations

import json
import socket

import pytest
import redis
from kombu import Connection, Exchange, Queue
from rollout.asked import BODY, asked
from rollout.brokers import RedisBroker
from rollout.outputs import read_plan

from policycompiler.plan.fingerprint import fingerprint

pytestmark = pytest.mark.server

BOTH = pytest.mark.parametrize("transport", ["redis", "rabbitmq"])
NOBODY = RedisBroker("redis://:hunter2@127.0.0.1:1/0")
SETTING = BODY + "celery: {settings: {worker_proc_alive_timeout: 20}}\n"


@pytest.fixture
def on(empty_broker, tmp_path):
    """The workload on an empty broker of a kind."""
    return lambda transport, **more: asked(empty_broker(transport), tmp_path, **more)


def ended(done):
    """Exit code, and what it says last."""
    return done.returncode, (done.stdout or done.stderr).strip().rpartition("\n")[2]


@BOTH
def test_a_queue_is_drained_once_nothing_is_ready_or_held(on, transport):
    shop = on(transport)
    with shop.queue() as queue:
        queue.put("kept")
        late = "not so after 1 s: no message is left in `mail`. Now: `mail` has 1 "
        assert ended(shop.wait("drained", "mail")) == (1, late + "ready")
        message = queue.get(timeout=5)
        assert ended(shop.wait("drained", "mail")) == (1, late + "held by workers")
        message.ack()
        # On a busy machine a look takes longer.
        done = shop.wait("drained", "mail", "--timeout", "60s")
        way = " (held messages counted by `rabbitmqctl`)" if transport == "rabbitmq" else ""
        assert ended(done) == (0, f"no message is left in `mail`{way}")


@BOTH
def test_a_queue_is_taken_once_nothing_is_ready(on, transport):
    shop = on(transport)
    with shop.queue() as queue:
        queue.put("kept")
        assert shop.wait("taken", "mail").returncode == 1
        queue.get(timeout=5)
        assert ended(shop.wait("taken", "mail")) == (0, "no message is ready in `mail`")


@BOTH
def test_workers_answer_once_each_runs_its_queues_and_the_plan(on, transport, tmp_path):
    shop = on(transport)
    (tmp_path / "new.yaml").write_text((tmp_path / "build.yaml").read_text() + SETTING.removeprefix(BODY))
    assert shop.command("compile", "new.yaml", "-o", "new").returncode == 0
    old, new = (fingerprint(read_plan(tmp_path / name)) for name in ("build", "new"))
    silent = shop.wait("workers")
    assert (silent.returncode, "worker `w`: 0 of 1 processes answer" in silent.stderr) == (1, True)
    with shop.worker():
        assert shop.wait("workers").returncode == 0
        other = shop.wait("workers", "--plan", "new")
        assert (other.returncode, f"runs plan {old}, not plan {new}" in other.stderr) == (1, True)


def test_held_messages_are_counted_by_the_workers_where_no_tool_of_the_broker_runs(on, tmp_path):
    shop = on("rabbitmq")
    bare = {"PATH": str(tmp_path)}
    with shop.queue() as queue:
        queue.put("kept")
        message = queue.get(timeout=5)
        unknown = shop.wait("drained", "mail", **bare)
        told = "held messages of `mail` cannot be counted: of 1 consumers, 0 answer as workers; give the URL"
        assert (unknown.returncode, told in unknown.stderr) == (1, True)
        message.ack()
    with shop.worker():
        done = shop.wait("drained", "mail", **bare)
        assert (done.returncode, "counted by the workers" in done.stdout) == (0, True), done.stderr
        with Connection(shop.broker.url) as connection:
            headers = {"task": "shop.mail", "id": "1", "eta": "2999-01-01T00:00:00+00:00"}
            connection.Producer().publish(
                ([], {}, {}), exchange="mail", routing_key="mail", headers=headers, serializer="json"
            )
        late = shop.wait("drained", "mail", **bare)
        assert (late.returncode, "`mail` has 1 held by workers" in late.stderr) == (1, True), late


def test_the_way_of_a_tool_that_belongs_to_another_broker_is_not_taken(on, tmp_path):
    shop = on("rabbitmq")
    (tmp_path / "bin").mkdir()
    other = tmp_path / "bin" / "rabbitmqctl"
    other.write_text("#!/bin/sh\nprintf 'mail\\t0\\n'\n")
    other.chmod(0o755)
    with shop.queue() as queue:
        queue.put("kept")
        queue.get(timeout=5)
        done = shop.wait("drained", "mail", PATH=f"{other.parent}:/usr/bin:/bin")
        assert (done.returncode, "cannot be counted" in done.stderr) == (1, True)


def test_what_workers_hold_of_a_task_counts_and_what_is_no_message_does_not(on):
    shop = on("redis")
    strange = ("no JSON", "7", "null", '"text"', "[]", "{}", '{"headers": null}')
    with redis.Redis.from_url(shop.broker.url) as client:
        client.lpush("mail", *strange)
        client.hset("unacked", mapping=dict(enumerate([*strange, "[null]", "[7]"])))
        assert shop.wait("task-gone", "shop.mail").returncode == 0
        client.lpush("mail", '{"headers": {"task": "shop.mail"}}')
        client.hset("unacked", "x", '[{"headers": {"task": "shop.mail"}}, "mail", "mail"]')
    done = shop.wait("task-gone", "shop.mail")
    assert (done.returncode, "`mail` has 1 ready; workers hold 1" in done.stderr) == (1, True)
    assert shop.wait("task-gone", "shop.other").returncode == 0


def test_what_workers_hold_of_a_content_type_counts(on):
    shop = on("redis")
    with Connection(shop.broker.url) as connection, connection.channel() as channel:
        queue = Queue("mail", Exchange("mail"), "mail")(channel)
        queue.declare()
        connection.Producer(channel).publish({}, exchange="mail", routing_key="mail", serializer="yaml")
        assert queue.get(accept=["yaml"]) is not None
        assert shop.wait("content-gone", "application/json").returncode == 0
        done = shop.wait("content-gone", "application/x-yaml", "application/json")
        assert (done.returncode, "workers hold 1" in done.stderr) == (1, True)


@pytest.mark.parametrize("address", ["{0}", "{0};{0}", "redis://127.0.0.1:1/1;{0}"])
def test_a_wait_asks_by_every_address_that_celery_takes(on, address):
    shop = on("redis")
    url = f"{shop.broker.url.rpartition('/')[0]}/1"
    elsewhere = shop._replace(broker=shop.broker._replace(url=url))
    with elsewhere.queue() as queue:
        queue.put("kept")
    assert shop.wait("drained", "mail").returncode == 0
    done = shop.wait("drained", "mail", "--broker", address.format(url))
    assert (done.returncode, "`mail` has 1 ready" in done.stderr) == (1, True), done.stderr


OPTIONS = {"unacked_key": "held", "global_keyprefix": "shop.", "priority_steps": [0, 4], "sep": ":"}


def test_a_wait_counts_by_the_options_of_the_transport(on):
    shop = on("redis", options=f", options: {json.dumps(OPTIONS)}")
    with shop.queue(**OPTIONS) as queue:
        for priority in (0, 5):
            queue.put("kept", priority=priority)
        assert "`mail` has 2 ready" in shop.wait("drained", "mail").stderr
        queue.get(timeout=5)
        assert "`mail` has 1 ready and 1 held by workers" in shop.wait("drained", "mail").stderr


def test_of_two_queues_behind_an_exchange_what_is_held_counts_for_its_own(on):
    tasks = "tasks: {shop.a: {queue: a}, shop.b: {queue: b}}\n"
    body = tasks + "queues: {a: {exchange: x, routing_key: ka}, b: {exchange: x, routing_key: kb}}\n"
    shop = on("redis", body=body)
    with Connection(shop.broker.url) as connection, connection.channel() as channel:
        bound = Queue("b", Exchange("x", "direct"), "kb")(channel)
        bound.declare()
        connection.Producer(channel).publish("held", exchange="x", routing_key="kb")
        assert bound.get() is not None
        assert shop.wait("drained", "a").returncode == 0
        assert shop.wait("drained", "b").returncode == 1


def test_a_broker_that_is_down_is_told_at_once_without_its_password(on):
    shop = on("redis")
    for words in (("drained", "mail"), ("workers",)):
        done = shop.command("wait", *words, "--broker", NOBODY.url)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("the broker cannot be asked: redis://127.0.0.1:1: ")
        assert "refused" in done.stderr
        assert "Traceback" not in done.stderr


@BOTH
def test_a_wrong_password_is_told_without_the_password(on, transport):
    shop = on(transport)
    scheme, _, address = shop.broker.url.partition("://")
    wrong = f"{scheme}://guest:hunter2@{address.rpartition('@')[2]}"
    for words in (("drained", "mail"), ("workers",)):
        done = shop.command("wait", *words, "--broker", wrong)
        assert done.returncode == 1, done
        assert done.stderr.startswith("the broker cannot be asked: ")
        assert not any(word in done.stdout + done.stderr for word in ("hunter2", "Traceback"))


@BOTH
def test_a_broker_that_accepts_and_never_answers_is_not_waited_for_without_end(on, transport):
    shop = on(transport)
    scheme = shop.broker.url.partition(":")[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://u:hunter2@127.0.0.1:{silent.getsockname()[1]}/"
        # `command` ends what takes too long.
        done = shop.command("wait", "drained", "mail", "--broker", url)
    assert (done.returncode, done.stderr.startswith("the broker cannot be asked: ")) == (1, True), done
    assert "hunter2" not in done.stderr


def test_a_queue_that_does_not_exist_is_not_empty(on):
    done = on("rabbitmq").wait("taken", "mail")
    assert (done.returncode, "virtual host `/` has no queue `mail`" in done.stderr) == (1, True)
