"""The commands of a rollout: what shows that a queue is empty, and what deletes it, on each broker.

Commands that print a number print 0 once there is nothing left, and no number where they cannot know. They
read the broker's address from the variable that the processes read; `python` and `celery` are those of the
workers, and `rabbitmqctl` runs on a node of the broker.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator

from policycompiler.plan import APP, Plan, Scope
from policycompiler.review.commands import on_rabbitmq, on_redis
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import WaitFor

NOTHING_LEFT = "it prints 0"
_MOST_TOLD = 8
_PATIENCE_SECONDS = 5
"""For answers; a worker that is busy needs more than Celery's own second."""


def until_empty(plan: Plan, queues: Iterable[str]) -> Iterator[WaitFor]:
    """Until nothing of these queues is ready, held by a worker, or waiting for its time."""
    names = sorted(queues)
    if not names:
        return
    if _transport(plan) == "redis":
        yield from (WaitFor(on_redis.of_queue(plan, queue), NOTHING_LEFT) for queue in names)
    elif _transport(plan) == "rabbitmq":
        yield WaitFor(on_rabbitmq.left(plan, names), NOTHING_LEFT)
        delayed = [task for queue in names for task in _delayed_in_broker(plan, queue)]
        if seconds := fleet.longest_way_seconds(plan, delayed):
            yield _pause(seconds, "what was delayed in the broker has come back by then, each time")
            yield WaitFor(on_rabbitmq.left(plan, names), NOTHING_LEFT)
    else:
        told = ", ".join(names)
        until = f"no worker holds a message of {told}, and the broker's own console shows none ready"
        yield WaitFor(_inspect(plan, "active reserved scheduled"), until)


def until_old_is_gone(plan: Plan, queues: Iterable[str], seconds: float) -> Iterator[WaitFor]:
    """Until all that old producers sent has been taken, and that has had the time that it may need."""
    yield from _until_taken(plan, queues)
    yield _pause(seconds, "what was taken until now has ended by then")


def until_none_in_form(plan: Plan, queues: Iterable[str], content_types: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message of these content types is under way; only Redis shows what workers hold."""
    if _transport(plan) != "redis":
        yield from until_old_is_gone(plan, queues, fleet.longest_way_seconds(plan))
        return
    yield from _until_taken(plan, queues)
    yield WaitFor(on_redis.held_in_form(plan, sorted(content_types)), NOTHING_LEFT)


def _until_taken(plan: Plan, queues: Iterable[str]) -> Iterator[WaitFor]:
    names = sorted(queues)
    if _transport(plan) == "redis":
        yield from (WaitFor(on_redis.ready(plan, queue), NOTHING_LEFT) for queue in names)
    elif _transport(plan) == "rabbitmq" and names:
        yield WaitFor(on_rabbitmq.ready(plan, names), NOTHING_LEFT)


def until_none_of(plan: Plan, task: str, queues: Iterable[str]) -> Iterator[WaitFor]:
    """Until no message of a task is under way in queues that others go on using."""
    if _transport(plan) == "redis" and "*" not in task:
        yield from (WaitFor(on_redis.of_task(plan, queue, task), NOTHING_LEFT) for queue in sorted(queues))
        return
    entry = fleet.Names(plan).entry(task)
    yield from until_old_is_gone(plan, queues, fleet.longest_way_seconds(plan, [entry] if entry else None))


def until_levels_moved(old: Plan, new: Plan, queues: Iterable[str]) -> Iterator[WaitFor]:
    """On Redis, until nothing is left in the lists of levels that go; it moves that to lists that stay.

    Waiting alone would not do: a worker that stops gives back what it holds by its own levels.
    """
    going = {*fleet.priority_steps(old)} - {*fleet.priority_steps(new)}
    names = sorted(queues)
    if _transport(new) == "redis" and going and names:
        yield WaitFor(on_redis.move_levels(new, names, sorted(going)), NOTHING_LEFT)


def until_workers_answer(plan: Plan) -> Iterator[WaitFor]:
    """Until the workers of a folder are there, with their queues; nothing where none is to run."""
    workers = fleet.running(plan)
    told = "; ".join(_answer(plan, scope) for scope in workers[:_MOST_TOLD])
    more = f"; and {len(workers) - _MOST_TOLD} more" if len(workers) > _MOST_TOLD else ""
    if workers:
        yield WaitFor(_inspect(plan, "active_queues"), f"each worker answers: {told}{more}")


def _answer(plan: Plan, worker: Scope) -> str:
    name = f"`{plan.get(worker, 'node_name', worker.name)}`"
    replicas = plan.number_if_any(worker, "replicas") or 1
    times = f" {replicas:g} times" if replicas > 1 else ""
    return f"{name}{times} with {_coded(plan.texts(worker, 'queues'))}"


def delete_queue(plan: Plan, queue: str) -> list[str]:
    """The command that deletes an empty queue that nobody consumes, where the broker keeps it."""
    return [on_rabbitmq.delete_queue(plan, queue)] if _transport(plan) == "rabbitmq" else []


def delete_exchange(plan: Plan, exchange: str) -> list[str]:
    """The command that deletes an exchange that no queue is bound to, where the broker keeps it."""
    return [on_rabbitmq.delete_exchange(plan, exchange)] if _transport(plan) == "rabbitmq" else []


def _transport(plan: Plan) -> str:
    return plan.text(APP, "broker_transport")


def _inspect(plan: Plan, what: str) -> str:
    app = shlex.quote(plan.text(APP, "app"))
    return " && ".join(
        f"celery --app {app} inspect --timeout {_PATIENCE_SECONDS} {each}" for each in what.split()
    )


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _pause(seconds: float, because: str) -> WaitFor:
    return WaitFor(f"sleep {math.ceil(seconds)}", f"it has ended: {because}")


def _delayed_in_broker(plan: Plan, queue: str) -> list[Scope]:
    """The tasks of a queue, where the broker and not a worker keeps some of them until their time.

    Beside one quorum queue it does so for all behind a topic exchange.
    """
    quorum = any(on_rabbitmq.is_quorum(plan, scope.name) for scope in plan.scopes("queue"))
    if not quorum or plan.get(Scope("queue", queue), "exchange_type") == "direct":
        return []
    tasks = [Scope("task", name) for name in plan.texts(Scope("queue", queue), "tasks")]
    return tasks if any(fleet.longest_delay_seconds(plan, task) for task in tasks) else []
