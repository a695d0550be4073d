"""Arguments of a queue that delete it, or that the broker refuses."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import arguments_of, is_consumed, type_of
from policycompiler.knowledge.queue_arguments import LEVELS, LIMIT, REFUSED, TYPE
from policycompiler.plan import APP, Plan, Scope

EXPIRES = "x-expires"
OF_ALL = "task_queue_max_priority"


def queue_arguments(plan: Plan) -> Iterator[Hazard]:
    """Of the queues that this app declares."""
    known = plan.broker
    own = [queue for queue in plan.scopes("queue") if not plan.get(queue, "external")]
    if known.declarations:
        yield from _levels_of_all(plan, own)
    for queue in own:
        if known.declarations:
            yield from _refused(plan, queue)
        if EXPIRES in known.expiring and EXPIRES in arguments_of(plan, queue):
            yield from _deleted(plan, queue)
        if known.declarations and type_of(plan, queue) == "quorum":
            yield from _given_up(plan, queue)


def _levels_of_all(plan: Plan, own: list[Scope]) -> Iterator[Hazard]:
    if plan.get(APP, OF_ALL) is None:
        return
    quorum = next((queue for queue in own if type_of(plan, queue) == "quorum"), None)
    if quorum is None:
        return
    message = (
        f"by `{OF_ALL}` Celery declares every queue with `{LEVELS}`, which RabbitMQ refuses (406) of the "
        f"quorum queue {quorum.name}: no worker of it starts, and no send passes"
    )
    help_text = "remove it, and write `priorities` at the classic queues that need levels"
    path = place_of(plan, APP, OF_ALL)
    settings = ((APP, OF_ALL), (quorum, f"arguments.{TYPE}"))
    yield Hazard("queue-argument-refused", settings, message, help_text, path)


def _refused(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    arguments, kind = arguments_of(plan, queue), type_of(plan, queue)
    for name in sorted(REFUSED.get(kind, frozenset()) & arguments.keys()):
        message = (
            f"RabbitMQ refuses (406) `{name}` of the {kind} queue {queue.name}: no worker of it starts, and "
            "no send passes"
        )
        path: SpecPath = ("queues", queue.name, "arguments", name)
        settings = ((queue, f"arguments.{name}"),)
        help_text = "remove the argument, or choose the other queue type"
        yield Hazard("queue-argument-refused", settings, message, help_text, path)


def _given_up(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    """A delivery limit of 0 undoes late acknowledgement."""
    tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
    late = next((task for task in tasks if plan.get(task, "options.acks_late")), None)
    if late is None or arguments_of(plan, queue).get(LIMIT) != 0:
        return
    message = (
        f"queue {queue.name} has a delivery limit of 0: when a worker dies during a run of {late.name}, "
        "RabbitMQ does not redeliver the message, although the task is acknowledged late"
    )
    path: SpecPath = ("queues", queue.name, "arguments", LIMIT)
    settings = ((queue, f"arguments.{LIMIT}"), (late, "options.acks_late"))
    help_text = "remove it (the compiler then sets a limit), or write 1 or more"
    yield Hazard("delivery-limit-zero", settings, message, help_text, path, about=(queue,))


def _deleted(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    tasks = plan.texts(queue, "tasks")
    if plan.get(queue, "broadcast") or not is_consumed(plan, queue):
        return
    if any(plan.get(Scope("task", name), "critical") for name in tasks):
        return  # told of the task
    seconds = arguments_of(plan, queue)[EXPIRES]
    after = f"{seconds / 1000:g} s" if isinstance(seconds, int) else f"{seconds} ms"
    message = (
        f"when queue {queue.name} has had no worker for {after}, it is deleted with all messages that wait "
        "in it, and until a worker declares it again what is sent may be lost"
    )
    path: SpecPath = ("queues", queue.name, "arguments", EXPIRES)
    help_text = (
        f"remove `{EXPIRES}`; to drop tasks that have waited for too long, declare `expires` of the task"
    )
    yield Hazard("queue-expires", ((queue, f"arguments.{EXPIRES}"),), message, help_text, path)
