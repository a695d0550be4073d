"""What brokers do to messages that `check` must object to.

On it rest the hazards of bindings, of external queues and of queue arguments.
"""

from __future__ import annotations

import amqp
import pytest
from kombu import Connection, Exchange, Queue

pytestmark = pytest.mark.server

REFUSED = {
    "quorum": {"x-max-priority", "x-queue-mode", "x-queue-master-locator", "x-max-age"},
    "classic": {"x-delivery-limit", "x-max-age", "x-max-in-memory-length", "x-max-in-memory-bytes"},
}
ONE_RETRY = {"again": {"max_retries": 1}}


def declared(*queues: Queue) -> dict[str, object]:
    return {
        "task_queues": queues,
        "task_default_queue": queues[0].name,
        "task_default_exchange": queues[0].exchange.name,
        "task_default_exchange_type": queues[0].exchange.type,
        "task_default_routing_key": queues[0].routing_key,
        "task_create_missing_queues": False,
        "broker_transport_options": {"confirm_publish": True},
    }


def behind(exchange: Exchange, name: str, key: str, **arguments: object) -> Queue:
    return Queue(name, exchange, routing_key=key, queue_arguments=arguments)


@pytest.fixture(params=["redis", "rabbitmq"])
def on_either(request):
    return request.getfixturevalue(f"on_{request.param}")


def test_redis_keeps_nothing_of_a_fanout_exchange_for_a_worker_that_is_not_there(on_redis, queue_name):
    lab = on_redis(**declared(behind(Exchange(queue_name, type="fanout"), queue_name, queue_name)))
    lab.send("quick")
    lab.worker()
    lab.send("nap", 0)
    lab.wait_for("end", "nap")
    assert lab.events("start", "quick") == []


def test_on_redis_each_worker_behind_a_fanout_exchange_runs_a_message(on_redis, queue_name):
    lab = on_redis(**declared(behind(Exchange(queue_name, type="fanout"), queue_name, queue_name)))
    lab.worker()
    lab.worker()
    lab.send("quick")
    lab.wait_for("end", "quick", times=2)


def test_rabbitmq_keeps_the_messages_of_a_queue_behind_a_fanout_exchange(on_rabbitmq, queue_name):
    lab = on_rabbitmq(**declared(behind(Exchange(queue_name, type="fanout"), queue_name, queue_name)))
    lab.send("quick")
    lab.worker()
    lab.wait_for("end", "quick")


@pytest.mark.parametrize(("one", "other"), [("task.#", "task.b"), ("task.b", "task.b"), ("*.b", "task.b")])
def test_a_key_that_two_bindings_of_an_exchange_match_runs_a_task_twice(on_either, queue_name, one, other):
    topic = Exchange(f"{queue_name}-tasks", type="topic")
    names = [f"{queue_name}-a", f"{queue_name}-b"]
    lab = on_either(**declared(behind(topic, names[0], one), behind(topic, names[1], other)))
    lab.worker("--queues", ",".join(names))
    lab.send("quick", queue=names[1])
    lab.wait_for("end", "quick", times=2)


def test_a_direct_queue_gets_what_celery_sends_whatever_its_key_is(on_either, queue_name):
    lab = on_either(**declared(behind(Exchange(queue_name, type="direct"), queue_name, f"{queue_name}.#")))
    lab.send("quick")
    lab.worker()
    lab.wait_for("end", "quick")


def test_a_queue_that_celery_made_bears_another_binding_and_no_other_exchange_type(
    on_rabbitmq, rabbitmq_url, queue_name
):
    """A first adoption: what runs today is declared by Celery itself."""
    on_rabbitmq(task_default_queue=queue_name).send("quick")
    direct = declared(behind(Exchange(queue_name, type="direct"), queue_name, f"{queue_name}.#"))
    lab = on_rabbitmq(**direct)
    lab.worker()
    lab.wait_for("end", "quick")
    with (
        Connection(rabbitmq_url) as connection,
        connection.channel() as channel,
        pytest.raises(amqp.PreconditionFailed),
    ):
        Exchange(queue_name, type="topic")(channel).declare()


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in REFUSED for name in sorted(REFUSED[kind])]
)
def test_rabbitmq_refuses_arguments_of_one_queue_type_for_the_other(rabbitmq_url, queue_name, kind, name):
    value = "lazy" if name in {"x-queue-mode", "x-queue-master-locator", "x-max-age"} else 3
    queue = behind(Exchange(queue_name), queue_name, queue_name, **{"x-queue-type": kind, name: value})
    with (
        Connection(rabbitmq_url) as connection,
        connection.channel() as channel,
        pytest.raises(amqp.PreconditionFailed),
    ):
        queue(channel).declare()


def test_rabbitmq_drops_unseen_what_is_sent_to_a_queue_that_is_not_there_unless_it_is_mandatory(
    on_rabbitmq, queue_name
):
    theirs = Queue(f"{queue_name}-theirs", Exchange(f"{queue_name}-theirs"), no_declare=True)
    own = behind(Exchange(queue_name), queue_name, queue_name)
    lab = on_rabbitmq(**declared(own, theirs))
    lab.send("quick", queue=theirs.name)
    routed = {"quick": {"queue": theirs.name, "mandatory": True}}
    lab = on_rabbitmq(**declared(own, theirs), task_routes=routed)
    with pytest.raises(amqp.ChannelError, match="NO_ROUTE"):
        lab.send("quick")


def test_a_retry_of_what_a_fanout_exchange_copied_is_copied_again(on_rabbitmq, queue_name):
    """As of a broadcast, behind which each process has a queue of its own."""
    fanout, names = Exchange(queue_name, type="fanout"), [f"{queue_name}-a", f"{queue_name}-b"]
    queues = declared(*(behind(fanout, name, name) for name in names))
    lab = on_rabbitmq(**queues, task_annotations=ONE_RETRY)
    lab.worker("--queues", ",".join(names))
    lab.send("again")
    # Two first runs; the retry of each comes to both.
    lab.wait_for("start", "again", times=6)


@pytest.mark.parametrize(("pool", "runs"), [("solo", 2), ("threads", 1)])
def test_a_run_of_a_solo_pool_that_outlasts_the_heartbeat_is_delivered_again(
    on_rabbitmq, queue_name, pool, runs
):
    own = behind(Exchange(queue_name), queue_name, queue_name)
    late = {"nap": {"acks_late": True}}
    lab = on_rabbitmq(**declared(own), broker_heartbeat=2, task_annotations=late)
    lab.worker(pool=pool)
    lab.send("nap", 8)
    lab.wait_for("end", "nap", times=runs)
    assert len(lab.events("end", "nap")) == runs
