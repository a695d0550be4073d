"""What the commands of a rollout go by: where messages lie, and which deletions a broker refuses.

On it rest the waits and the deletions that `policycompiler diff` prints.
"""

from __future__ import annotations

import json

import pytest
from amqp.exceptions import AMQPError, PreconditionFailed
from kombu import Connection, Exchange, Queue
from processes import stop, wait_until

pytestmark = pytest.mark.server

QUORUM = {"x-queue-type": "quorum"}
ONE_LIST = {"priority_steps": [0]}


def declared(name: str, kind: str = "direct", **arguments: object) -> Queue:
    return Queue(name, Exchange(name, type=kind), routing_key=name, queue_arguments=arguments)


def test_what_a_worker_holds_lies_in_redis_with_its_exchange_and_its_routing_key(on_redis, database):
    lab = on_redis()
    lab.send("quick", priority=6)
    with lab.app.connection_for_read() as connection, connection.channel() as channel:
        assert channel.basic_get("celery") is not None
        ((message, exchange, routing_key),) = map(json.loads, database.hvals("unacked"))
    assert (message["headers"]["task"], message["properties"]["priority"]) == ("quick", 6)
    assert (exchange, routing_key) == ("", "celery")


def test_what_waits_in_redis_says_its_task_and_lies_in_the_list_of_its_level(on_redis, database):
    on_redis().send("quick", priority=6)
    (message,) = map(json.loads, database.lrange("celery\x06\x166", 0, -1))
    assert message["headers"]["task"] == "quick"


@pytest.mark.parametrize(("steps", "level"), [([0, 3, 6, 9], 3), ([0, 5], 5)])
def test_on_redis_a_channel_that_is_closed_gives_back_into_the_list_of_its_own_steps(
    redis_url, database, queue_name, steps, level
):
    with Connection(redis_url, transport_options=ONE_LIST) as connection:
        connection.Producer().publish("kept", routing_key=queue_name, priority=5)
    assert database.keys(f"{queue_name}*") == [queue_name]
    with (
        Connection(redis_url, transport_options={"priority_steps": steps}) as connection,
        connection.channel() as channel,
    ):
        assert channel.basic_get(queue_name) is not None
        assert (database.keys(f"{queue_name}*"), database.hlen("unacked")) == ([], 1)
    assert database.keys(f"{queue_name}*") == [f"{queue_name}\x06\x16{level}"]
    assert database.exists("unacked") == 0


@pytest.mark.parametrize(("steps", "level"), [([0, 3, 6, 9], 3), ([0, 5], 5)])
def test_on_redis_a_worker_that_stops_gives_back_into_the_list_of_its_own_steps(
    on_redis, database, steps, level
):
    lab = on_redis(broker_transport_options={"priority_steps": steps})
    worker = lab.worker()
    on_redis(broker_transport_options=ONE_LIST).send("quick", priority=5, countdown=600)
    wait_until(lambda: database.hlen("unacked") == 1, "the worker holds it")
    stop(worker)
    assert (database.llen("celery"), database.llen(f"celery\x06\x16{level}")) == (0, 1)


@pytest.mark.parametrize(
    "changed",
    [{"x-max-priority": 9}, QUORUM, {"kind": "topic"}],
    ids=["priorities", "type", "exchange"],
)
def test_rabbitmq_refuses_to_declare_what_exists_with_other_arguments(rabbitmq_url, queue_name, changed):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        declared(queue_name)(channel).declare()
        with pytest.raises(PreconditionFailed):
            declared(queue_name, **changed)(channel).declare()


def test_a_classic_queue_that_is_not_empty_is_not_deleted_where_it_is_to_be_empty(rabbitmq_url, queue_name):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        declared(queue_name)(channel).declare()
        connection.Producer(channel).publish("kept", routing_key=queue_name)
        with pytest.raises(PreconditionFailed):
            channel.queue_delete(queue_name, if_empty=True)


def test_of_a_quorum_queue_nothing_may_be_asked_when_it_is_deleted(rabbitmq_url, queue_name):
    with Connection(rabbitmq_url) as connection:
        declared(queue_name, **QUORUM)(connection.channel()).declare()
        for condition in ("if_empty", "if_unused"):
            with Connection(rabbitmq_url) as other, pytest.raises(AMQPError, match="NOT_IMPLEMENTED"):
                other.channel().queue_delete(queue_name, **{condition: True})
        assert connection.channel().queue_declare(queue_name, passive=True).queue == queue_name
