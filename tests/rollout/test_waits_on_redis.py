"""The commands that wait for Redis, as they are printed, on a Redis that holds what they ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from kombu import Connection, Exchange, Queue
from review_of import reviewed
from rollout.brokers import RedisBroker

from policycompiler.review.outcome import Done

pytestmark = pytest.mark.server

HEAD = "broker: {transport: redis, url: '${CELERY_BROKER_URL}'%s}\n"
IN_MAIL = "tasks: {shop.a: {queue: mail}}\n"
IN_LETTERS = "tasks: {shop.a: {queue: letters}}\n"
TWO_IN_MAIL = "tasks: {shop.a: {queue: mail}, shop.b: {queue: mail}}\n"
OLD_LEVELS, NEW_LEVELS = [0, 3, 6, 9], [0, 5]
NOBODY = RedisBroker("redis://127.0.0.1:1/0")


@pytest.fixture
def broker(empty_broker):
    """A Redis with nothing in it."""
    return empty_broker("redis")


@contextmanager
def mail(broker, **options):
    """The queue `mail`, by such options of the transport."""
    with (
        Connection(broker.url, transport_options=options) as connection,
        connection.SimpleQueue("mail") as queue,
    ):
        yield queue


def steps(old, new, *, options="", new_options=None):
    heads = [HEAD % each for each in (options, options if new_options is None else new_options)]
    return reviewed(heads[0] + old, heads[1] + new).steps


def drained(old, new, **options):
    """The first command of the drain."""
    (drain,) = (step for step in steps(old, new, **options) if step.phase == "drain")
    return drain.wait_for[0].command


def levels(broker_levels):
    return f", options: {{priority_steps: {broker_levels}}}"


def of_other_levels():
    return steps(IN_MAIL, IN_MAIL, options=levels(OLD_LEVELS), new_options=levels(NEW_LEVELS))


def run(command, broker):
    done = ended(command, broker)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def ended(command, broker):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **broker.environment, "PATH": path}
    words = ["sh", "-c", command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("address", ["{0}", "{0};{0}", "redis://127.0.0.1:1/1;{0}"])
def test_a_wait_asks_by_every_address_that_celery_takes(broker, address):
    broker = broker._replace(url=f"{broker.url.rpartition('/')[0]}/1")
    with mail(broker) as queue:
        queue.put("kept")
    assert run(drained(IN_MAIL, IN_LETTERS), broker._replace(url=address.format(broker.url))) == "1"


def test_a_wait_prints_no_number_where_it_does_not_reach_the_broker():
    done = ended(drained(IN_MAIL, IN_LETTERS), NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Connection refused" in done.stderr


def test_a_wait_counts_what_workers_hold_under_a_key_of_its_own(broker):
    with mail(broker, unacked_key="held") as queue:
        queue.put("kept")
        queue.get(timeout=5)
        assert run(drained(IN_MAIL, IN_LETTERS, options=", options: {unacked_key: held}"), broker) == "1"


def test_of_two_queues_behind_an_exchange_a_wait_counts_what_is_held_of_its_own(broker):
    queues = "queues: {%s b: {exchange: x, routing_key: kb}}\n"
    both = "tasks: {shop.a: {queue: a}, shop.b: {queue: b}}\n" + queues % "a: {exchange: x, routing_key: ka},"
    command = drained(both, "tasks: {shop.a: {queue: b}, shop.b: {queue: b}}\n" + queues % "")
    with Connection(broker.url) as connection, connection.channel() as channel:
        for queue, key, shown in (("b", "kb", "0"), ("a", "ka", "1")):
            bound = Queue(queue, Exchange("x", "direct"), key)(channel)
            bound.declare()
            connection.Producer(channel).publish("held", exchange="x", routing_key=key)
            assert bound.get() is not None
            assert run(command, broker) == shown


def test_a_wait_for_a_task_is_not_stopped_by_what_is_no_message(broker):
    strange = ("no JSON", "7", "null", '"text"', "[]", "{}", '{"headers": null}')
    with redis.Redis.from_url(broker.url) as client:
        client.lpush("mail", *strange, '{"headers": {"task": "shop.b"}}')
        client.hset("unacked", mapping=dict(enumerate([*strange, "[null]", "[7]"])))
    assert run(drained(TWO_IN_MAIL, IN_MAIL), broker) == "1"


def test_a_wait_for_a_form_counts_what_workers_hold_of_it(broker):
    steps_of_forms = steps("celery: {settings: {task_serializer: yaml}}\n" + IN_MAIL, IN_MAIL)
    (drain,) = (step for step in steps_of_forms if step.phase == "drain")
    command = drain.wait_for[-1].command
    with Connection(broker.url) as connection, connection.channel() as channel:
        queue = Queue("mail", Exchange("mail"), "mail")(channel)
        queue.declare()
        for form, shown in (("json", "0"), ("yaml", "1"), ("yaml", "2")):
            connection.Producer(channel).publish({}, exchange="mail", routing_key="mail", serializer=form)
            assert queue.get(accept=["json", "yaml"]) is not None
            assert run(command, broker) == shown


def test_what_lies_in_lists_of_levels_that_go_comes_next_and_in_its_order(broker):
    with mail(broker, priority_steps=OLD_LEVELS) as queue:
        for number, priority in enumerate([3, 4, 6, 9, 0, 3]):
            queue.put(number, priority=priority)
    *_, contract = of_other_levels()
    (wait,) = (each for each in contract.wait_for if each.done is Done.ZERO)
    assert [run(wait.command, broker) for _ in range(2)] == ["5", "0"]
    with mail(broker, priority_steps=NEW_LEVELS) as queue:
        assert [queue.get(timeout=5).payload for _ in range(6)] == [0, 1, 5, 4, 2, 3]


def test_who_goes_back_to_the_old_levels_takes_what_workers_gave_back_by_the_new_ones(broker):
    with mail(broker, priority_steps=sorted({*OLD_LEVELS, *NEW_LEVELS})) as queue:
        queue.put("five", priority=5)
    assert set(broker.left()) == {"mail\x06\x165"}
    expand, *_ = of_other_levels()
    answer, moved = expand.undo_wait_for
    assert "active_queues" in answer.command
    assert run(moved.command, broker) == "1"
    with mail(broker, priority_steps=OLD_LEVELS) as queue:
        assert queue.get(timeout=5).payload == "five"
