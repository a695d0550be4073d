"""Values with which a worker does not start or fetches nothing, and messages that reach no queue.

On it rest the hazards of `worker_starts`, `lost_ways` and of delivery limits.
"""

from __future__ import annotations

import amqp
import pytest
import redis
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from celery.utils.log import LOG_LEVELS as CELERYS
from celery.utils.log import mlevel
from kombu import Connection, Exchange, Message, Queue
from processes import wait_until

from policycompiler.knowledge.brokers import broker
from policycompiler.knowledge.celery_settings import LOG_LEVELS


def test_a_durable_control_queue_excludes_the_default():
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.control_queue_durable = True
    with pytest.raises(ImproperlyConfigured, match="cannot both be True"):
        _ = app.control
    app.conf.control_queue_exclusive = False
    assert app.control


def test_a_durable_event_queue_excludes_the_default():
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.event_queue_durable = True
    with app.connection_for_read() as connection, pytest.raises(ImproperlyConfigured):
        app.events.Receiver(connection)


def test_a_level_that_celery_does_not_know_is_an_error():
    assert {name for name in CELERYS if isinstance(name, str)} == LOG_LEVELS
    with pytest.raises(KeyError):
        mlevel("NOPE")


def test_every_process_of_a_file_system_broker_writes_to_one_folder_and_reads_from_the_other(tmp_path):
    def gets(out: str) -> object:
        options = {"data_folder_in": str(tmp_path / "in"), "data_folder_out": str(tmp_path / out)}
        for folder in ("in", "out"):
            (tmp_path / folder).mkdir(exist_ok=True)
        options["control_folder"] = str(tmp_path / "control")
        with (
            Connection("filesystem://", transport_options=options) as connection,
            connection.channel() as channel,
        ):
            queue = Queue("q", Exchange("q"), routing_key="q")(channel)
            queue.declare()
            connection.Producer(channel).publish("a", exchange="q", routing_key="q")
            return queue.get(no_ack=True)

    assert gets("out") is None
    assert gets("in") is not None


def test_a_topic_exchange_drops_a_key_that_no_binding_matches():
    with Connection("memory://") as connection, connection.channel() as channel:
        queue = Queue("topic-c", Exchange("topic-work", type="topic"), routing_key="c.#")(channel)
        queue.declare()
        producer = connection.Producer(channel, exchange=queue.exchange)
        producer.publish("a", routing_key="nope")
        assert queue.get(no_ack=True) is None
        producer.publish("a", routing_key="c.d")
        assert queue.get(no_ack=True) is not None


@pytest.mark.server
@pytest.mark.parametrize("name", ["unacked", "unacked_index"])
def test_a_queue_named_like_a_key_of_kombu_fails(on_redis, name):
    assert name in broker("redis").own_keys.values()
    lab = on_redis(task_default_queue=name)
    for _ in range(2):  # while a message waits, the queue is a list
        lab.send("quick")
    with (
        lab.app.connection_for_read() as connection,
        connection.channel() as channel,
        pytest.raises(redis.ResponseError, match="WRONGTYPE"),
    ):
        Queue(name)(channel).get()


@pytest.mark.server
def test_a_worker_with_as_many_delayed_messages_as_its_limit_fetches_no_other(on_redis, database):
    lab = on_redis(worker_eta_task_limit=1, worker_prefetch_multiplier=1)
    lab.worker("--concurrency", "1")
    lab.send("quick", countdown=3600)
    inspect = lab.app.control.inspect(timeout=5, limit=1)
    wait_until(lambda: any((inspect.scheduled() or {}).values()), "the worker holds it", seconds=30)
    lab.send("nap", 0)
    # A worker that fetched it would have started it long before it answers for the third time.
    for _ in range(3):
        assert inspect.ping()
    assert database.llen(lab.app.conf.task_default_queue) == 1


@pytest.mark.server
def test_rabbitmq_refuses_consumers_of_a_stream_under_a_global_prefetch(rabbitmq_url, queue_name):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        channel.basic_qos(0, 4, a_global=True)
        queue = Queue(queue_name, Exchange(""), queue_arguments={"x-queue-type": "stream"})(channel)
        queue.declare()
        with pytest.raises(amqp.PreconditionFailed, match="prefetch"):
            queue.consume(queue_name)


@pytest.mark.server
def test_rabbitmq_wants_an_integer_as_the_priority_of_consumers(rabbitmq_url, queue_name):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        queue = Queue(queue_name, consumer_arguments={"x-priority": "high"})(channel)
        queue.declare()
        with pytest.raises(amqp.PreconditionFailed, match="x-priority"):
            queue.consume(queue_name)


@pytest.mark.server
@pytest.mark.parametrize(("limit", "deliveries"), [(0, 1), (1, 2)])
def test_after_its_limit_a_quorum_queue_does_not_deliver_again(rabbitmq_url, queue_name, limit, deliveries):
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": limit}
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        queue = Queue(queue_name, Exchange(""), queue_arguments=arguments)(channel)
        queue.declare()
        connection.Producer(channel).publish("a", routing_key=queue_name)
        for _ in range(deliveries):
            got: list[Message] = []
            wait_until(
                lambda got=got: got or got.extend(filter(None, [queue.get()])), "it is delivered", seconds=9
            )
            assert got[0].delivery_info["redelivered"] == (deliveries > 1 and _ > 0)
            got[0].requeue()
        wait_until(lambda: queue.queue_declare(passive=True).message_count == 0, "it is dropped", seconds=9)
        assert queue.get() is None
