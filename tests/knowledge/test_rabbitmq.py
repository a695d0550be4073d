"""What RabbitMQ adds, on 3.10 and on 4.0: quorum queues, delivery limits, confirmed publishes, lost connections.

On it rest the policies queue-declarations, broker-connection, worker-lost and task-events.
"""

from __future__ import annotations

import pytest
from celery.exceptions import OperationalError
from kombu import Connection, Exchange, Queue
from processes import wait_until
from servers import RABBITMQ

from policycompiler.knowledge import queue_arguments

pytestmark = [pytest.mark.server, pytest.mark.parametrize("release", RABBITMQ)]

ONE_AHEAD = ("--prefetch-multiplier", "1")


def queue(name: str, kind: str = "direct", **arguments: object) -> Queue:
    return Queue(name, Exchange(name, type=kind), routing_key=name, queue_arguments=arguments)


def quorum(name: str, kind: str = "topic", limit: int = 3) -> Queue:
    """As queue-declarations has it."""
    return queue(name, kind, **{"x-queue-type": "quorum", "x-delivery-limit": limit})


def settings(declared: Queue) -> dict[str, object]:
    return {
        "task_queues": (declared,),
        "task_default_queue": declared.name,
        "task_default_exchange": declared.exchange.name,
        "task_default_exchange_type": declared.exchange.type,
        "task_default_routing_key": declared.routing_key,
        "task_create_missing_queues": False,
        "broker_transport_options": {"confirm_publish": True},
    }


def depth(url: str, name: str) -> int:
    """Messages that no worker has taken."""
    with Connection(url) as connection, connection.channel() as channel:
        return channel.queue_declare(name, passive=True).message_count


def scheduled(lab) -> int:
    """Messages that the worker holds until they are due."""
    (found,) = lab.app.control.inspect(timeout=10, limit=1).scheduled().values()
    return len(found)


def overfill(lab) -> None:
    """Send far more than a queue of length 1 takes; a quorum queue closes a few messages late."""
    for _ in range(50):
        lab.send("quick", retry=False)


def test_delayed_tasks_of_a_quorum_queue_behind_a_topic_exchange_do_not_occupy_a_worker(
    on_rabbitmq, queue_name
):
    lab = on_rabbitmq(**settings(quorum(queue_name)))
    lab.worker(*ONE_AHEAD)
    for _ in range(4):
        lab.send("nap", 0, countdown=600)
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert scheduled(lab) == 0
    assert lab.events("start", "nap") == []


def test_a_delayed_task_of_a_quorum_queue_behind_a_topic_exchange_runs_when_it_is_due(
    on_rabbitmq, queue_name
):
    lab = on_rabbitmq(**settings(quorum(queue_name)))
    lab.worker(*ONE_AHEAD)
    lab.send("quick", countdown=2)
    lab.wait_for("end", "quick")
    assert lab.events("start", "quick")[0]["routing_key"].endswith(f".{queue_name}")


def test_delayed_tasks_of_a_quorum_queue_behind_a_direct_exchange_occupy_a_worker(
    on_rabbitmq, rabbitmq_url, queue_name
):
    """Why the exchange is a topic; the tasks behind them wait as long as they do."""
    lab = on_rabbitmq(**settings(quorum(queue_name, "direct")))
    for _ in range(2):
        lab.send("nap", 0, countdown=600)
    lab.worker(*ONE_AHEAD)
    wait_until(lambda: scheduled(lab) == 1, "the worker holds what its prefetch limit allows")
    lab.send("quick")
    wait_until(lambda: depth(rabbitmq_url, queue_name) == 2, "the others are left in the queue")
    assert scheduled(lab) == 1
    assert lab.events("start") == []


def test_delayed_tasks_of_a_classic_queue_occupy_a_worker_from_rabbitmq_4_on(
    on_rabbitmq, rabbitmq_url, queue_name, release
):
    """There kombu asks for a prefetch of each consumer, which does not grow with the messages that wait."""
    lab = on_rabbitmq(**settings(queue(queue_name)))
    for _ in range(4):
        lab.send("nap", 0, countdown=600)
    lab.worker(*ONE_AHEAD)
    lab.send("quick")
    if release == "3.10":
        lab.wait_for("end", "quick")
        assert scheduled(lab) == 4
    else:
        wait_until(lambda: scheduled(lab) == 1, "the worker holds what its prefetch limit allows")
        wait_until(lambda: depth(rabbitmq_url, queue_name) == 4, "the others are left in the queue")
        assert lab.events("start") == []


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_without_a_limit_a_quorum_queue_of_rabbitmq_4_drops_the_21st_return(
    rabbitmq_url, queue_name, release, kind
):
    """Without a trace. Before, and in a classic queue, a message returns without end."""
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        declared = queue(queue_name, **{"x-queue-type": kind})(channel)
        declared.declare()
        connection.Producer().publish("x", exchange=queue_name, routing_key=queue_name)
        for _ in range(21):
            wait_until(lambda: depth(rabbitmq_url, queue_name) == 1, "it is there again")
            declared.get().reject(requeue=True)
        gone = kind == "quorum" and release == "4.0"
        wait_until(lambda: depth(rabbitmq_url, queue_name) == 1 - gone, "it is where it is expected")


def test_with_quorum_queues_a_worker_takes_its_prefetch_of_each_queue(on_rabbitmq, rabbitmq_url, queue_name):
    """Where the prefetch is fixed it is each queue's own, so further queues fill a reserve."""
    other = quorum(f"{queue_name}-other")
    lab = on_rabbitmq(
        **settings(quorum(queue_name)) | {"task_queues": (quorum(queue_name), other)},
        task_annotations={"nap": {"acks_late": True}},
    )
    for name in (queue_name, other.name):
        for _ in range(3):
            lab.send("nap", 600, queue=name)
    lab.worker(*ONE_AHEAD)
    for name in (queue_name, other.name):
        wait_until(lambda name=name: depth(rabbitmq_url, name) == 2, f"one message of {name} is taken")


def test_beside_a_quorum_queue_a_classic_one_behind_a_topic_exchange_does_not_occupy_a_worker(
    on_rabbitmq, queue_name
):
    classic = queue(queue_name, "topic")
    lab = on_rabbitmq(
        **settings(classic) | {"task_queues": (classic, quorum(f"{queue_name}-quorum"))},
    )
    lab.worker(*ONE_AHEAD, "--queues", queue_name)
    for _ in range(4):
        lab.send("nap", 0, countdown=600)
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert scheduled(lab) == 0


def test_a_countdown_below_a_second_is_refused_by_a_quorum_queue(on_rabbitmq, queue_name):
    """Why the first wait of a retry is rounded up to a whole second."""
    lab = on_rabbitmq(**settings(quorum(queue_name)))
    with pytest.raises(ValueError, match="positive"):
        lab.send("quick", countdown=0.5)


def test_a_delivery_limit_of_2_gives_3_deliveries(on_rabbitmq, rabbitmq_url, queue_name):
    """The broker says itself when it gives up, by moving the message to another queue."""
    dead = f"{queue_name}-dead"
    declared = quorum(queue_name, limit=2)
    declared.queue_arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    lab = on_rabbitmq(
        **settings(declared),
        task_annotations={"die": {"acks_late": True, "reject_on_worker_lost": True}},
    )
    with Connection(rabbitmq_url) as connection, connection.SimpleQueue(dead) as letters:
        lab.worker(*ONE_AHEAD)
        lab.send("die")
        letter = letters.get(timeout=60)
        letter.ack()
    assert letter.headers["x-death"][0]["reason"] == "delivery_limit"
    assert len(lab.events("start", "die")) == 3


def test_a_late_message_goes_to_another_worker_when_its_own_is_killed(on_rabbitmq, queue_name):
    lab = on_rabbitmq(**settings(queue(queue_name)), task_annotations={"nap": {"acks_late": True}})
    first = lab.worker(*ONE_AHEAD)
    lab.send("nap", 600)
    lab.wait_for("start", "nap")
    lab.worker(*ONE_AHEAD)
    first.kill()
    lab.wait_for("start", "nap", times=2)
    assert [start["redelivered"] for start in lab.events("start", "nap")] == [False, True]


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_with_confirm_publish_a_message_that_the_broker_did_not_take_is_an_error(
    on_rabbitmq, rabbitmq_url, queue_name, kind
):
    full = queue(queue_name, **{"x-queue-type": kind, "x-max-length": 1, "x-overflow": "reject-publish"})
    lab = on_rabbitmq(**settings(full))
    with pytest.raises(OperationalError):
        overfill(lab)
    assert depth(rabbitmq_url, queue_name) >= 1


def test_without_confirm_publish_it_vanishes_without_an_error(on_rabbitmq, rabbitmq_url, queue_name):
    full = queue(queue_name, **{"x-max-length": 1, "x-overflow": "reject-publish"})
    lab = on_rabbitmq(**settings(full) | {"broker_transport_options": {}})
    overfill(lab)
    wait_until(lambda: depth(rabbitmq_url, queue_name) == 1, "one message was taken")


def test_a_queue_that_is_not_declared_by_the_sender_takes_messages(on_rabbitmq, queue_name):
    """How an external queue is emitted: `no_declare=True`, on a direct exchange, and its app declares it."""
    theirs, ours = queue(f"{queue_name}-theirs"), queue(queue_name)
    external = Queue(
        theirs.name, Exchange(theirs.name, type="direct"), routing_key=theirs.name, no_declare=True
    )
    sender = on_rabbitmq(**settings(ours) | {"task_queues": (ours, external)})
    consumer = on_rabbitmq(**settings(theirs))
    consumer.worker()
    sender.send("quick", queue=theirs.name)
    consumer.wait_for("end", "quick")


def test_a_sender_of_a_queue_that_it_does_not_declare_leaves_no_queue_behind(
    on_rabbitmq, rabbitmq_url, queue_name
):
    """A message to an external queue that nobody has declared is lost, also where publishes are confirmed."""
    theirs = queue(f"{queue_name}-theirs")
    external = Queue(theirs.name, theirs.exchange, routing_key=theirs.name, no_declare=True)
    sender = on_rabbitmq(**settings(queue(queue_name)) | {"task_queues": (queue(queue_name), external)})
    sender.send("quick", queue=theirs.name)
    with Connection(rabbitmq_url) as connection, pytest.raises(connection.channel_errors, match="no queue"):
        connection.default_channel.queue_declare(theirs.name, passive=True)


OTHER = {
    "x-expires": (600_000, 700_000),
    "x-message-ttl": (60_000, 70_000),
    "x-max-length": (10, 20),
    "x-max-length-bytes": (1000, 2000),
    "x-max-priority": (5, 6),
    "x-queue-mode": ("lazy", "default"),
    "x-queue-master-locator": ("min-masters", "client-local"),
    "x-queue-leader-locator": ("client-local", "balanced"),
    "x-delivery-limit": (3, 4),
    "x-overflow": ("drop-head", "reject-publish"),
    "x-dead-letter-exchange": ("", "elsewhere"),
    "x-dead-letter-routing-key": ("one", "other"),
    "x-dead-letter-strategy": ("at-most-once", "at-least-once"),
    "x-single-active-consumer": (True, False),
    "x-consumer-timeout": (600_000, 700_000),
    "x-quorum-initial-group-size": (1, 3),
    "x-max-in-memory-length": (10, 20),
    "x-max-in-memory-bytes": (1000, 2000),
    "x-max-age": ("1D", "2D"),
}
BESIDE = {
    "x-dead-letter-routing-key": {"x-dead-letter-exchange": ""},
    "x-dead-letter-strategy": {"x-dead-letter-exchange": "", "x-overflow": "reject-publish"},
}


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_which_arguments_a_queue_refuses_and_which_it_compares(rabbitmq_url, queue_name, kind, release):
    assert OTHER.keys() == queue_arguments.KNOWN - {"x-queue-type"}
    for argument, (one, other) in OTHER.items():
        name = f"{queue_name}-{argument}"
        base = {"x-queue-type": kind, **BESIDE.get(argument, {})}
        first = declared(rabbitmq_url, name, base | {argument: one})
        refused = argument in queue_arguments.REFUSED[kind]
        # Of a classic queue, 3.10 refuses what 4.0 takes.
        late = (kind, release, argument) == ("classic", "3.10", "x-queue-leader-locator")
        assert (argument, first) == (argument, not refused and not late)
        if first:
            again = [
                declared(rabbitmq_url, name, base | more) for more in ({argument: one}, {argument: other}, {})
            ]
            same = argument in queue_arguments.UNCOMPARED
            assert (argument, again) == (argument, [True, same, same])


def declared(url: str, name: str, arguments: dict[str, object]) -> bool:
    """Whether RabbitMQ takes a declaration."""
    with Connection(url) as connection:
        try:
            queue(name, **arguments)(connection.channel()).declare()
        except connection.channel_errors as refusal:
            return refusal.code != 406
    return True
