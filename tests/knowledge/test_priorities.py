"""Which message of a queue goes first, on each broker.

On it rest the policies priorities and priority-monitoring, and that routes carry priorities.
"""

from __future__ import annotations

import pytest
from kombu import Connection, Exchange, Queue
from servers import RABBITMQ

pytestmark = pytest.mark.server

ONE_AHEAD = ("--prefetch-multiplier", "1")
TEN_STEPS = {"priority_steps": list(range(10))}


def queue(name: str, **arguments: object) -> Queue:
    return Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=arguments)


def order(lab) -> list[int | None]:
    """The priorities of the runs, in the order in which they began."""
    return [start["priority"] for start in lab.events("start", "quick")]


def send_then_run(lab, *priorities: int | None) -> list[int | None]:
    for priority in priorities:
        lab.send("quick", **({} if priority is None else {"priority": priority}))
    lab.worker(*ONE_AHEAD)
    lab.wait_for("end", "quick", times=len(priorities))
    return order(lab)


def test_on_redis_the_lowest_number_goes_first(on_redis):
    lab = on_redis(broker_transport_options=TEN_STEPS)
    assert send_then_run(lab, 9, 5, 0, 1) == [0, 1, 5, 9]


def test_on_redis_a_message_without_a_number_goes_before_all_but_the_first_step(on_redis):
    """Why a task that declares no priority is sent with one."""
    lab = on_redis(broker_transport_options=TEN_STEPS)
    first, *_ = send_then_run(lab, 9, 1, None)
    assert not first


@pytest.mark.parametrize("steps", [["low", "high"], [[0]]])
def test_on_redis_nothing_can_be_sent_by_steps_that_are_no_numbers(redis_url, queue_name, steps):
    with (
        Connection(redis_url, transport_options={"priority_steps": steps}) as connection,
        pytest.raises(TypeError, match="not supported between instances"),
    ):
        connection.Producer().publish("lost", routing_key=queue_name, exchange="")


def test_on_redis_steps_that_begin_above_0_put_the_most_urgent_last(redis_url):
    with Connection(redis_url, transport_options={"priority_steps": [3, 6]}) as connection:
        channel = connection.default_channel
        assert [channel.priority(number) for number in (0, 3, 6)] == [6, 3, 6]


def test_on_redis_numbers_of_one_step_go_in_the_order_of_their_sending(on_redis):
    """Why there are ten steps: of kombu's own four, 3 to 5 are one."""
    assert send_then_run(on_redis(), 5, 4, 3) == [5, 4, 3]


def test_on_redis_each_step_is_a_list_of_its_own_and_only_the_first_has_the_queues_name(on_redis, database):
    lab = on_redis(broker_transport_options=TEN_STEPS)
    for priority in (0, 1, 9):
        lab.send("quick", priority=priority)
    assert database.llen("celery") == 1
    assert sorted(database.keys("celery*")) == ["celery", "celery\x06\x161", "celery\x06\x169"]


def test_on_redis_the_first_step_of_every_queue_goes_before_the_second_of_any(on_redis):
    """Why the order of queues is left to kombu, which takes them in turn."""
    lab = on_redis(broker_transport_options=TEN_STEPS, task_queues=(Queue("a"), Queue("b")))
    for name, priority in (("a", 1), ("a", 1), ("b", 0), ("b", 0)):
        lab.send("quick", queue=name, priority=priority)
    lab.worker(*ONE_AHEAD, "--queues", "a,b")
    lab.wait_for("end", "quick", times=4)
    assert order(lab) == [0, 0, 1, 1]


def test_on_redis_another_separator_makes_earlier_bindings_unreadable(redis_url, database):
    """Why it stays as it is: any process that asks who is bound to an exchange fails from then on."""
    bound = Queue("mail", Exchange("letters", type="topic"), routing_key="mail.#")
    with Connection(redis_url) as connection:
        bound(connection.default_channel).declare()
    changed = Connection(redis_url, transport_options={"sep": ":"})
    with changed as connection, pytest.raises(ValueError, match="not enough values"):
        connection.Producer().publish("x", exchange=bound.exchange, routing_key="mail.send")
    assert database.exists("mail") == 0


def test_on_rabbitmq_the_highest_number_of_a_classic_queue_goes_first_and_none_last(on_rabbitmq, queue_name):
    lab = on_rabbitmq(
        task_queues=(queue(queue_name, **{"x-max-priority": 9}),), task_default_queue=queue_name
    )
    assert send_then_run(lab, None, 1, 9, 5) == [9, 5, 1, 0]


def test_on_rabbitmq_a_classic_queue_without_the_argument_heeds_no_number(on_rabbitmq, queue_name):
    lab = on_rabbitmq(task_queues=(queue(queue_name),), task_default_queue=queue_name)
    assert send_then_run(lab, 1, 9, 5) == [1, 9, 5]


@pytest.mark.parametrize(
    ("release", "expected"),
    [("3.10", [1, 4, 9, 5]), ("4.0", [9, 5, 1, 4])],
    ids=RABBITMQ,
)
def test_from_rabbitmq_4_on_a_quorum_queue_has_two_levels_and_no_release_takes_the_argument(
    on_rabbitmq, rabbitmq_url, queue_name, expected
):
    """Messages of 5 and more go first, in their order; two of them for each other one."""
    quorum = {"x-queue-type": "quorum"}
    lab = on_rabbitmq(task_queues=(queue(queue_name, **quorum),), task_default_queue=queue_name)
    assert send_then_run(lab, 1, 4, 9, 5) == expected
    with (
        Connection(rabbitmq_url) as connection,
        pytest.raises(connection.channel_errors, match="x-max-priority"),
    ):
        queue(f"{queue_name}-levels", **quorum, **{"x-max-priority": 9})(connection.default_channel).declare()


def test_a_priority_of_a_route_travels_with_a_producer_that_does_not_have_the_task(on_redis):
    lab = on_redis(task_routes={"quick": {"queue": "celery", "priority": 7}})
    lab.stranger().send_task("quick")
    lab.worker()
    lab.wait_for("end", "quick")
    assert order(lab) == [7]
