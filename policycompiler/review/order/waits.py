"""The waits and actions of a step, by what the broker can show and keeps.

Every wait is about a `Stage`: its plan says where messages are and who holds them; its folder keeps the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import ceil
from typing import NamedTuple

from policycompiler.plan import APP, Plan, Scope
from policycompiler.plan.fingerprint import fingerprint
from policycompiler.plan.node_names import pattern
from policycompiler.plan.queue_lists import priority_steps
from policycompiler.review.conditions import (
    Action,
    Condition,
    ContentGone,
    DeleteExchange,
    DeleteQueue,
    Drained,
    MoveLevels,
    Pause,
    Seen,
    Taken,
    TaskGone,
    WorkerAnswer,
    WorkersAnswer,
    coded,
    several,
)
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import Stage


class _Shows(NamedTuple):
    """What a broker lets others see and keeps.

    `counts`: how many messages a queue has, and workers hold. `reads`: which tasks and content types they
    have. `keeps`: queues and exchanges that no process uses.
    """

    counts: bool
    reads: bool
    keeps: bool


_BY_SERVER = {"redis": _Shows(counts=True, reads=True, keeps=False)} | {
    "rabbitmq": _Shows(counts=True, reads=False, keeps=True)
}
_OTHERS = _Shows(counts=False, reads=False, keeps=False)


def _of(stage: Stage) -> _Shows:
    return _BY_SERVER.get(stage.plan.broker.server, _OTHERS)


def _stored(stage: Stage, queues: Iterable[str]) -> tuple[str, ...]:
    """The queues that the broker has by these names; of a broadcast queue each process has its own."""
    return tuple(name for name in sorted(queues) if not stage.plan.get(Scope("queue", name), "broadcast"))


def answers(plan: Plan) -> bool:
    """Whether workers answer remote control: the broker supports it, and no setting disables it."""
    return plan.broker.control and plan.get(APP, "worker_enable_remote_control") is not False


def until_empty(stage: Stage, queues: Iterable[str]) -> Iterator[Condition]:
    """Until no message of these queues is ready, held by a worker, or delayed."""
    names = _stored(stage, queues)
    if not names:
        return
    if not _of(stage).counts:
        holds = "no worker holds a message of them, and " if answers(stage.plan) else ""
        yield Seen(says=f"{holds}the broker's console shows no message in {coded(names)}")
        return
    yield Drained(plan=stage.kept_in, queues=names)
    delayed = [task for queue in names for task in _delayed_in_broker(stage.plan, queue)]
    if seconds := fleet.longest_way_seconds(stage.plan, delayed):
        yield pause(seconds, "until then, the broker moves delayed messages back to their queues")
        yield Drained(plan=stage.kept_in, queues=names)


def _delayed_in_broker(plan: Plan, queue: str) -> list[Scope]:
    """The tasks of a queue, where the broker and not a worker delays some of them.

    With one quorum queue it does so for all queues that are bound to a topic exchange.
    """
    quorum = any(plan.get(scope, "type") == "quorum" for scope in plan.scopes("queue"))
    if not quorum or plan.get(Scope("queue", queue), "exchange_type") == "direct":
        return []
    tasks = [Scope("task", name) for name in plan.texts(Scope("queue", queue), "tasks")]
    return tasks if any(fleet.longest_delay_seconds(plan, task) for task in tasks) else []


def until_old_is_gone(stage: Stage, queues: Iterable[str], seconds: float) -> Iterator[Condition]:
    """Until workers have fetched all messages of old producers, and had enough time to finish them."""
    names = _stored(stage, queues)
    if names and _of(stage).counts:
        yield Taken(plan=stage.kept_in, queues=names)
    yield pause(seconds, "until then, workers finish all messages that they have fetched")


def until_none_in_form(
    stage: Stage, queues: Iterable[str], content_types: Iterable[str]
) -> Iterator[Condition]:
    """Until no message of these content types is left."""
    names = _stored(stage, queues)
    if not _of(stage).reads:
        yield from until_old_is_gone(stage, names, fleet.longest_way_seconds(stage.plan))
        return
    types = tuple(sorted(content_types))
    yield ContentGone(plan=stage.kept_in, queues=names, content_types=types)


def until_none_of(stage: Stage, task: str, queues: Iterable[str]) -> Iterator[Condition]:
    """Until no message of a task is left in queues that other tasks still use."""
    names = _stored(stage, queues)
    # A pattern does not say which names its messages have.
    if _of(stage).reads and "*" not in task:
        yield TaskGone(plan=stage.kept_in, queues=names, task=task)
        return
    entry = fleet.Names(stage.plan).entry(task)
    seconds = fleet.longest_way_seconds(stage.plan, [entry] if entry else None)
    yield from until_old_is_gone(stage, names, seconds)


def until_workers_answer(
    stage: Stage, deployed: Collection[str], workers: Iterable[Scope] | None = None
) -> Iterator[Condition]:
    """Until `workers`, by default all of a stage, run with their queues; empty for a stage without workers.

    Those that are `deployed` (`worker:NAME`) also show that they have read the plan. The others were asked
    when they got the plan that they run.
    """
    asked = fleet.running(stage.plan) if workers is None else workers
    expected = [_answer(stage, scope, deployed=str(scope) in deployed) for scope in asked]
    if expected and answers(stage.plan):
        yield WorkersAnswer(plan=stage.kept_in, workers=tuple(expected))
    elif expected:
        told = several(each.says for each in expected)
        yield Seen(says=f"the log of each worker says `ready` (none answers remote control): {told}")


def _answer(stage: Stage, worker: Scope, *, deployed: bool) -> WorkerAnswer:
    plan = stage.plan
    return WorkerAnswer(
        name=worker.name,
        nodes=pattern(plan, worker),
        replicas=int(plan.number_if_any(worker, "replicas") or 1),
        queues=tuple(sorted(plan.texts(worker, "queues"))),
        fingerprint=fingerprint(plan) if deployed else "",
        or_none=deployed and not stage.folder,
    )


def pause(seconds: float, because: str) -> Pause:
    """Wait for a number of seconds."""
    return Pause(seconds=ceil(seconds), because=because)


def move_levels(old: Plan, new: Stage, queues: Iterable[str]) -> Iterator[Action]:
    """Move messages out of lists that only processes with the old priority levels read.

    Waiting is not enough: a stopping worker returns its messages to the lists of its own levels.
    """
    names = _stored(new, queues)
    going = {*priority_steps(old)} - {*priority_steps(new.plan)}
    if going and names and _of(new).reads:
        yield MoveLevels(plan=new.kept_in, queues=names, levels=tuple(sorted(going)))


def delete_queue(stage: Stage, queue: str) -> list[Action]:
    """Delete an empty queue without consumers, where the broker keeps it."""
    return [DeleteQueue(plan=stage.kept_in, queue=queue)] if _of(stage).keeps else []


def delete_exchange(stage: Stage, exchange: str) -> list[Action]:
    """Delete an exchange without bindings, where the broker keeps it."""
    return [DeleteExchange(plan=stage.kept_in, exchange=exchange)] if _of(stage).keeps else []
