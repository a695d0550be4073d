"""What the commands of a rollout go by, and what old and new processes lose of each other's.

On it rest the waits and the deletions that `policycompiler diff` prints, and what it calls `lossy` and
`manual`.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing

import pytest
from amqp.exceptions import AMQPError, PreconditionFailed
from celery import chord
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


PREFIX = {"global_keyprefix": "other"}


def test_a_result_is_not_found_by_a_process_with_another_prefix(on_redis, redis_url):
    labs = [
        on_redis(result_backend=redis_url, result_backend_transport_options=options)
        for options in ({}, PREFIX)
    ]
    labs[0].worker()
    sent = labs[0].send("quick")
    labs[0].wait_for("end", "quick")
    assert [lab.app.AsyncResult(sent.id).state for lab in labs] == ["SUCCESS", "PENDING"]


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, True), (PREFIX, False), ({"result_chord_ordered": False}, False)],
    ids=["alike", "prefix", "order"],
)
def test_a_chord_whose_parts_old_and_new_workers_run_ends_only_where_both_count_alike(
    on_redis, redis_url, options, told
):
    old = on_redis(result_backend=redis_url)
    new = on_redis(result_backend=redis_url, result_backend_transport_options=options)
    old.worker("--queues", "old")
    new.worker("--queues", "new")
    parts = [old.app.tasks["echo"].s(number).set(queue=queue) for number, queue in ((1, "old"), (2, "new"))]
    chord(parts, app=old.app)(old.app.tasks["tell"].s().set(queue="old"))
    for lab in (old, new):
        lab.wait_for("end", "echo")
    # One slot: a body that was sent before this one would run before it.
    old.app.tasks["quick"].apply_async(queue="old")
    old.wait_for("end", "quick")
    assert bool(old.events("told")) == told


def test_results_of_a_database_are_kept_in_the_table_of_their_workers(on_redis, tmp_path):
    pytest.importorskip("sqlalchemy")
    backend = {"result_backend": f"db+sqlite:///{tmp_path}/results"}
    tables = {"celery_taskmeta": {}, "other": {"database_table_names": {"task": "other"}}}
    for table, names in tables.items():
        lab = on_redis(**backend, **names)
        worker = lab.worker()
        sent = lab.stranger().send_task("quick")
        lab.wait_for("end", "quick")
        stop(worker)
        with closing(sqlite3.connect(tmp_path / "results")) as connection:
            assert connection.execute(f"select task_id from {table}").fetchall() == [(sent.id,)]


@pytest.mark.parametrize(("emulated", "kept"), [(True, 1), (False, 0)])
def test_without_ack_emulation_what_a_killed_worker_had_taken_is_kept_nowhere(
    on_redis, database, tmp_path, emulated, kept
):
    lab = on_redis(
        broker_transport_options={"ack_emulation": emulated}, task_annotations={"hold": {"acks_late": True}}
    )
    worker = lab.worker()
    lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold")
    stop(worker, number=signal.SIGKILL)
    assert (database.llen("celery"), database.hlen("unacked")) == (0, kept)


@pytest.mark.parametrize(("exchange", "heard"), [("celery", True), ("other", False)])
def test_a_worker_does_not_hear_what_is_sent_by_another_control_exchange(on_redis, exchange, heard):
    lab, other = on_redis(), on_redis(control_exchange=exchange)
    lab.worker()
    other.app.control.revoke("theirs")
    lab.app.control.revoke("ours")

    def revoked() -> set[str]:
        answers = lab.app.control.inspect(timeout=10, limit=1).revoked() or {}
        return {each for ids in answers.values() for each in ids}

    wait_until(lambda: "ours" in revoked(), "the later one is heard")
    assert ("theirs" in revoked()) == heard


def test_a_monitor_does_not_hear_what_is_sent_to_another_event_exchange(on_redis):
    lab, other = on_redis(), on_redis(event_exchange="other")
    heard = []
    with lab.app.connection_for_read() as connection:
        receiver = lab.app.events.Receiver(connection, handlers={"*": heard.append})
        with closing(receiver.itercapture(limit=None, timeout=60, wakeup=False)) as events:
            next(events)  # it listens
            for sender in (other, lab):
                with sender.app.events.default_dispatcher() as dispatcher:
                    dispatcher.send("task-told", by=sender.app.conf.event_exchange)
            next(events)
    assert [event["by"] for event in heard] == ["celeryev"]


@pytest.mark.parametrize("deduplicated", [True, False])
def test_what_comes_again_after_it_succeeded_runs_again_unless_it_is_deduplicated(
    on_redis, redis_url, deduplicated
):
    lab = on_redis(
        result_backend=redis_url,
        task_acks_late=True,
        worker_deduplicate_successful_tasks=deduplicated,
        result_expires=None,
    )
    sent = lab.send("quick")
    with lab.app.connection_for_read() as connection, connection.channel() as channel:
        # Taken, run to its end, and given back: as by a worker that is killed before it acknowledges.
        assert channel.basic_get("celery") is not None
        lab.app.backend.store_result(sent.id, None, "SUCCESS")
    lab.send("nap", 0)
    lab.worker()
    lab.wait_for("end", "nap")
    assert bool(lab.events("start", "quick")) != deduplicated


def test_a_queue_of_sqs_that_exists_is_not_told_another_visibility_timeout(monkeypatch):
    pytest.importorskip("boto3")
    # Imported here, as it needs that package.
    from kombu.transport.SQS import Channel  # noqa: PLC0415

    created = {}

    def create(_self, name, attributes):
        created[name] = attributes
        return {"QueueUrl": name}

    monkeypatch.setattr(Channel, "__init__", lambda _self: None)
    monkeypatch.setattr(Channel, "_queue_cache", {"there": "url"}, raising=False)
    monkeypatch.setattr(Channel, "_update_queue_cache", lambda _self, _prefix: None)
    monkeypatch.setattr(Channel, "_create_queue", create)
    monkeypatch.setattr(Channel, "transport_options", {"visibility_timeout": 60})
    for name in ("there", "new"):
        Channel()._new_queue(name)
    assert created == {"new": {"VisibilityTimeout": "60"}}
