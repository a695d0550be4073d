"""What workers and producers tell monitors, and what it costs.

On it rests the policy task-events.
"""

from __future__ import annotations

from contextlib import closing

import pytest

pytestmark = pytest.mark.server

WORKERS_OWN = ("task-received", "task-started", "task-succeeded")
# As the policy has it for a green pool on RabbitMQ, and what else a worker may be given.
EMITTED = ("--events", "--without-heartbeat")
NO_EVENT_AT_ALL = ("--without-heartbeat",)
MESSAGES = 100


def test_only_the_event_of_its_send_says_a_tasks_queue(on_redis):
    lab = on_redis(task_send_sent_event=True)
    lab.worker("--events")
    seen: dict[str, dict] = {}
    handlers = {"*": lambda event: seen.setdefault(event["type"], event)}
    with lab.app.connection_for_read() as connection:
        receiver = lab.app.events.Receiver(connection, handlers=handlers)
        with closing(receiver.itercapture(limit=None, timeout=60, wakeup=False)) as events:
            next(events)  # it listens
            lab.send("quick")
            while not {"task-sent", *WORKERS_OWN} <= set(seen):
                next(events)
    assert seen["task-sent"]["queue"] == "celery"
    assert [kind for kind in WORKERS_OWN if "celery" in seen[kind].values()] == []


def test_the_setting_alone_turns_a_workers_events_on(on_redis):
    lab = on_redis(worker_send_task_events=True)
    lab.worker()
    assert "task events: ON" in lab.logs()


@pytest.mark.since("5.7", run=False)  # both are as fast then
@pytest.mark.parametrize("slow", [(), ("--events",), EMITTED], ids=["as it is", "events", "as emitted"])
@pytest.mark.parametrize(
    ("settings", "fast"),
    [({}, NO_EVENT_AT_ALL), ({"broker_heartbeat": 0}, EMITTED)],
    ids=["by one that sends no event at all", "by one without AMQP heartbeats"],
)
def test_on_rabbitmq_a_gevent_worker_that_sends_any_event_is_overtaken(
    on_rabbitmq, queue_name, slow, settings, fast
):
    """Celery 5.7 waits 0.1 s after each message; `--without-heartbeat` alone is no cure where events are on.

    No clock is read: the one that is sent its messages first has not ended them when the other has.
    """
    pytest.importorskip("gevent")
    first = on_rabbitmq(task_default_queue=queue_name)
    second = on_rabbitmq(task_default_queue=f"{queue_name}-second", **settings)
    first.worker(*slow, pool="gevent", slots=MESSAGES)
    second.worker(*fast, pool="gevent", slots=MESSAGES)
    for lab in (first, second):
        for _ in range(MESSAGES):
            lab.send("quick")
    second.wait_for("end", "quick", times=MESSAGES)
    assert len(first.events("end", "quick")) < MESSAGES
