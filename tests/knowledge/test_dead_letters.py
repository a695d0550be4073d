"""What RabbitMQ keeps of a task that failed, expired, or was killed, and what Celery signals of it.

On it rest the policies dead-letters, failure-acknowledgement and dead-letter-gaps, and the module that keeps
dead letters in a worker.
"""

from __future__ import annotations

import pytest
from amqp import Message
from amqp.exceptions import PreconditionFailed
from kombu import Connection, Exchange, Queue
from processes import wait_until

pytestmark = pytest.mark.server

ONE_AHEAD = ("--prefetch-multiplier", "1")
# Older ones have one flag for both, under another name.
SINCE_TWO_FLAGS = pytest.mark.since("5.7", run=False)
KEPT = {"acks_late": True, "acks_on_failure": False, "acks_on_timeout": True}


@pytest.fixture
def dead(rabbitmq_url, queue_name):
    """The queue of dead letters, declared; called, it tells why each letter came, in order."""
    queue = Queue(f"{queue_name}.dead")
    with Connection(rabbitmq_url) as connection:
        bound = queue(connection.default_channel)
        bound.declare()
        reasons = []

        def look():
            while (letter := bound.get(no_ack=True)) is not None:
                reasons.append(letter.headers["x-death"][0]["reason"])
            return reasons

        yield look


@pytest.fixture
def open_here(on_rabbitmq, queue_name):
    """Opens a lab whose queue sends its dead letters to that one."""
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{queue_name}.dead"}
    declared = Queue(
        queue_name,
        Exchange(queue_name, type="direct"),
        routing_key=queue_name,
        queue_arguments=arguments,
    )

    def opened(**annotations):
        return on_rabbitmq(
            task_queues=(declared,),
            task_default_queue=queue_name,
            task_default_exchange=queue_name,
            task_default_routing_key=queue_name,
            task_annotations=annotations,
        )

    return opened


def settled(lab) -> None:
    """Wait until the one slot has gone on to the next task, so that what came before it is done with."""
    lab.send("quick")
    lab.wait_for("end", "quick")


@SINCE_TWO_FLAGS
def test_a_failure_that_is_not_acknowledged_is_kept_once(open_here, dead):
    lab = open_here(fail=KEPT)
    lab.worker(*ONE_AHEAD)
    lab.send("fail")
    wait_until(lambda: dead() == ["rejected"], "its letter is kept")
    settled(lab)
    assert dead() == ["rejected"]
    assert len(lab.events("start", "fail")) == 1


@pytest.mark.parametrize(
    "options", [{"acks_late": True}, {"acks_on_failure": False}], ids=["default", "early"]
)
def test_a_failure_that_is_acknowledged_is_not(open_here, dead, options):
    """By default also a late one is; an early one always."""
    lab = open_here(fail=options)
    lab.worker(*ONE_AHEAD)
    lab.send("fail")
    settled(lab)
    assert dead() == []
    assert len(lab.events("start", "fail")) == 1


@SINCE_TWO_FLAGS
def test_retries_are_acknowledged_and_the_last_failure_is_kept_once(open_here, dead):
    lab = open_here(
        fail=KEPT | {"autoretry_for": (ConnectionError,), "max_retries": 2, "default_retry_delay": 0}
    )
    lab.worker(*ONE_AHEAD)
    lab.send("fail")
    wait_until(lambda: dead() == ["rejected"], "its letter is kept")
    settled(lab)
    assert dead() == ["rejected"]
    assert [start["retries"] for start in lab.events("start", "fail")] == [0, 1, 2]


@SINCE_TWO_FLAGS
def test_a_soft_limit_is_a_failure_and_kept(open_here, dead):
    lab = open_here(nap=KEPT | {"soft_time_limit": 1, "time_limit": 60})
    lab.worker(*ONE_AHEAD)
    lab.send("nap", 60)
    wait_until(lambda: dead() == ["rejected"], "its letter is kept")


def test_a_hard_limit_that_is_acknowledged_is_not_kept(open_here, dead):
    lab = open_here(nap=KEPT | {"time_limit": 1})
    lab.worker(*ONE_AHEAD)
    lab.send("nap", 60)
    settled(lab)
    assert dead() == []
    assert len(lab.events("start", "nap")) == 1


@SINCE_TWO_FLAGS
def test_a_hard_limit_that_is_not_acknowledged_is_put_back_and_killed_again(open_here, dead):
    """Observed for three runs; a classic queue counts nothing."""
    lab = open_here(nap=KEPT | {"time_limit": 1, "acks_on_timeout": False})
    lab.worker(*ONE_AHEAD)
    lab.send("nap", 60)
    lab.wait_for("start", "nap", times=3)
    assert dead() == []


def test_a_message_that_expires_in_its_queue_is_kept_among_the_failures(open_here, dead):
    lab = open_here()
    lab.send("quick", expires=1)
    wait_until(lambda: dead() == ["expired"], "its letter is kept")


def test_a_message_of_a_task_that_nobody_knows_is_kept_whatever_is_set(open_here, dead):
    lab = open_here()
    lab.worker(*ONE_AHEAD)
    lab.app.send_task("nobody.knows")
    wait_until(lambda: dead() == ["rejected"], "its letter is kept")


def test_a_queue_that_no_worker_consumes_is_not_declared(on_rabbitmq, rabbitmq_url, queue_name):
    """Why a queue declares the queue of its dead letters itself."""
    unread = f"{queue_name}-unread"
    lab = on_rabbitmq(task_queues=(Queue(queue_name), Queue(unread)), task_default_queue=queue_name)
    lab.worker("--queues", queue_name)
    with Connection(rabbitmq_url) as connection, pytest.raises(connection.channel_errors, match="no queue"):
        connection.default_channel.queue_declare(unread, passive=True)


ENDS = {
    "fail": (),
    "soft": ("nap", 60),
    "hard": ("nap", 60),
    "die": (),
    "skip": (),
    "expired": ("quick",),
    "untrusted": ("quick",),
}


def test_which_signal_is_sent_of_which_end_and_in_which_process(on_redis, database):
    """And Redis keeps nothing, although the tasks are acknowledged late and their failures are rejected."""
    lab = on_redis(task_annotations=dict.fromkeys(("fail", "nap", "die", "skip"), KEPT))
    lab.worker(slots=3, environment={"SIGNALS": "yes"})
    for task_id, (task, *arguments) in {each: ENDS[each] or (each,) for each in ENDS}.items():
        limits = {"soft": {"soft_time_limit": 1}, "hard": {"time_limit": 1}, "expired": {"expires": -1}}
        serializer = {"serializer": "pickle"} if task_id == "untrusted" else {}
        lab.send(task, *arguments, task_id=task_id, **limits.get(task_id, {}), **serializer)
    lab.app.send_task("nobody.knows", task_id="unknown")
    with lab.app.producer_or_acquire() as producer:
        to = {"routing_key": "celery", "exchange": ""}
        producer.publish({"no": "task"}, **to)
        producer.publish(b"{", content_type="application/json", content_encoding="utf-8", **to)

    def found() -> dict[str | None, tuple[str, str]]:
        """The signal, and the process. In a process of the pool, the request of the run is there."""
        return {
            each["task"]: (each["signal"], "main" if each["main"] else f"child, {each['known']}")
            for each in lab.events("signal")
        }

    wanted = {
        "fail": ("task_failure", "child, True"),
        "soft": ("task_failure", "child, True"),
        "hard": ("task_failure", "main"),
        "die": ("task_failure", "main"),
        "unknown": ("task_unknown", "main"),
        "untrusted": ("task_rejected", "main"),
        None: ("task_rejected", "main"),
        "expired": ("task_revoked", "main"),
    }
    wait_until(lambda: found().keys() >= wanted.keys(), "each end was signaled")
    assert found() == wanted
    once = [each["task"] for each in lab.events("signal") if each["task"] != "hard"]
    assert sorted(once, key=str) == sorted(wanted.keys() - {"hard"}, key=str)
    wait_until(lambda: not database.exists("celery", "unacked"), "nothing is left")
    assert "Can't decode message body" in lab.logs()


@SINCE_TWO_FLAGS
def test_the_hard_limit_is_signaled_twice_and_a_rejection_without_its_request(on_redis):
    lab = on_redis()
    lab.worker(slots=2, environment={"SIGNALS": "yes"})
    lab.send("nap", 60, task_id="hard", time_limit=1)
    lab.send("refuse", task_id="refused")
    lab.wait_for("signal", "refused")
    lab.wait_for("signal", "hard", times=2)
    (refused,) = lab.events("signal", "refused")
    assert (refused["signal"], refused["main"], refused["known"]) == ("task_failure", True, False)
    assert sorted(each["known"] for each in lab.events("signal", "hard")) == [False, True]


def test_a_failure_whose_result_cannot_be_stored_is_another_signal(on_redis, tmp_path):
    """Then `task_failure` is never sent."""
    (tmp_path / "results").mkdir()
    lab = on_redis(result_backend=f"file://{tmp_path / 'results'}")
    lab.worker(environment={"SIGNALS": "yes"})
    assert lab.app.backend, "the sender's own is made while the folder is there"
    (tmp_path / "results").rmdir()
    lab.send("fail", task_id="fail")
    lab.wait_for("signal", "fail")
    assert lab.events("signal", "fail")[0]["signal"] == "task_internal_error"


@pytest.fixture
def channel(rabbitmq_url):
    with Connection(rabbitmq_url) as connection:
        yield connection.default_channel


def filled(channel, name: str, number: int, **arguments: object) -> str:
    Queue(name, queue_arguments=arguments)(channel).declare()
    for _ in range(number):
        channel.basic_publish(Message("", delivery_mode=2), routing_key=name)
    wait_until(lambda: count(channel, name) == number, "all are there")
    return name


def count(channel, name: str) -> int:
    return channel.queue_declare(name, passive=True).message_count


def moved(channel, source: str, target: str) -> None:
    """Move a message in one transaction, as a replay does."""
    message = channel.basic_get(source)
    channel.basic_publish(Message("", delivery_mode=2), routing_key=target, mandatory=True)
    channel.basic_ack(message.delivery_tag)
    channel.tx_commit()


FULL = {"x-max-length": 1, "x-overflow": "reject-publish"}


def test_a_full_quorum_queue_drops_in_silence_what_it_rejects_in_a_transaction(channel, queue_name):
    source = filled(channel, queue_name, 5)
    target = filled(channel, f"{queue_name}.full", 1, **FULL, **{"x-queue-type": "quorum"})
    channel.tx_select()
    for _ in range(5):
        moved(channel, source, target)
    assert count(channel, source) == 0
    assert count(channel, target) < 6


def test_a_full_classic_queue_refuses_the_transaction_and_the_message_is_acknowledged(
    channel, rabbitmq_url, queue_name
):
    source = filled(channel, queue_name, 1)
    target = filled(channel, f"{queue_name}.full", 1, **FULL)
    channel.tx_select()
    with pytest.raises(PreconditionFailed, match="partial tx completion"):
        moved(channel, source, target)
    with Connection(rabbitmq_url) as connection:
        assert count(connection.default_channel, source) == 0


def test_a_message_to_no_queue_returns_after_the_transaction_that_acknowledged_it(channel, queue_name):
    source, returned = filled(channel, queue_name, 1), []
    channel.events["basic_return"].add(lambda *message: returned.append(message))
    channel.tx_select()
    moved(channel, source, "nowhere")
    assert (len(returned), count(channel, source)) == (1, 0)


def test_a_message_that_was_read_and_returned_has_one_more_delivery_on_a_quorum_queue(
    rabbitmq_url, channel, queue_name
):
    """RabbitMQ 4 deletes it after 20."""
    source = filled(channel, queue_name, 1, **{"x-queue-type": "quorum"})
    found = []
    for _ in range(2):
        with Connection(rabbitmq_url) as connection:
            found.append(connection.default_channel.basic_get(source).headers.get("x-delivery-count", 0))
        wait_until(lambda: count(channel, source) == 1, "it is back")
    assert found == [0, 1]
