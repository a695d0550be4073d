"""Queue arguments that delete a queue, or that the broker refuses."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import arguments_of, is_consumed, type_of
from policycompiler.knowledge.queue_arguments import (
    DEAD_LETTERS,
    DEFAULT_LIMIT,
    FIRST_RABBITMQ_WITH_DEFAULT_LIMIT,
    LEVELS,
    LIMIT,
    REFUSED,
    TYPE,
)
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

EXPIRES = "x-expires"
OF_ALL = "task_queue_max_priority"


def queue_arguments(plan: Plan) -> Iterator[Hazard]:
    """Check the queues that this app declares."""
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
            yield from _dropped(plan, queue)
            yield from _endless(plan, queue)


def _levels_of_all(plan: Plan, own: list[Scope]) -> Iterator[Hazard]:
    if plan.get(APP, OF_ALL) is None:
        return
    quorum = next((queue for queue in own if type_of(plan, queue) == "quorum"), None)
    if quorum is None:
        return
    message = (
        f"`{OF_ALL}` adds `{LEVELS}` to every queue, but RabbitMQ refuses it (406) for the quorum queue "
        f"{quorum.name}: its workers do not start, and every send fails"
    )
    help_text = f"remove `{OF_ALL}`, and write `priorities` in the classic queues that need priority levels"
    path = place_of(plan, APP, OF_ALL)
    settings = ((APP, OF_ALL), (quorum, f"arguments.{TYPE}"))
    yield Hazard("queue-argument-refused", settings, message, help_text, path)


def _refused(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    arguments, kind = arguments_of(plan, queue), type_of(plan, queue)
    for name in sorted(REFUSED.get(kind, frozenset()) & arguments.keys()):
        message = (
            f"RabbitMQ refuses (406) `{name}` for the {kind} queue {queue.name}: its workers do not start, "
            "and every send fails"
        )
        path: SpecPath = ("queues", queue.name, "arguments", name)
        settings = ((queue, f"arguments.{name}"),)
        help_text = f"remove `{name}`, or choose the other queue type"
        yield Hazard("queue-argument-refused", settings, message, help_text, path)


def _endless(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    """A delivery limit that limits nothing."""
    arguments = arguments_of(plan, queue)
    limit = arguments.get(LIMIT)
    if LIMIT not in arguments or (isinstance(limit, int) and limit >= 0):
        return
    tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
    late = next((task for task in tasks if plan.value(task, "idempotent")), None)
    if late is None:
        return
    message = (
        f"the delivery limit {limit} does not stop queue {queue.name} from redelivering a message "
        f"that kills its worker, for instance one of {late.name}"
    )
    path: SpecPath = ("queues", queue.name, "arguments", LIMIT)
    settings = ((queue, f"arguments.{LIMIT}"), (late, "idempotent"), (queue, "type"))
    help_text = "remove the limit (the compiler then sets one), or write a limit of 1 or more"
    yield Hazard("delivery-limit-missing", settings, message, help_text, path, about=(queue,))


def _given_up(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    """A delivery limit of 0 undoes late acknowledgment."""
    tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
    late = next((task for task in tasks if plan.get(task, "options.acks_late")), None)
    if late is None or arguments_of(plan, queue).get(LIMIT) != 0:
        return
    message = (
        f"queue {queue.name} has a delivery limit of 0: RabbitMQ does not redeliver a message of "
        f"{late.name} when its worker dies, although the task is acknowledged late"
    )
    path: SpecPath = ("queues", queue.name, "arguments", LIMIT)
    settings = ((queue, f"arguments.{LIMIT}"), (late, "options.acks_late"))
    help_text = "remove the limit (the compiler then sets one), or write 1 or more"
    yield Hazard("delivery-limit-zero", settings, message, help_text, path, about=(queue,))


def _dropped(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    """Messages that RabbitMQ deletes after a number of deliveries, without a trace."""
    arguments = arguments_of(plan, queue)
    if DEAD_LETTERS in arguments:
        return
    tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
    late = [task for task in tasks if plan.get(task, "options.acks_late")]
    limit, key = arguments.get(LIMIT), f"arguments.{LIMIT}"
    if LIMIT in arguments:
        # The workload, or the compiler, limits it on purpose; that is harm where each failure matters.
        late = [task for task in late if plan.get(task, "critical")]
    elif plan.find(APP, "broker_version") and (
        plan.version(APP, "broker_version") >= FIRST_RABBITMQ_WITH_DEFAULT_LIMIT
    ):
        limit, key = DEFAULT_LIMIT, "type"
    if not late or not isinstance(limit, int) or limit < 1:
        return
    own = "" if LIMIT in arguments else ", which is the default from RabbitMQ 4 on"
    message = (
        f"queue {queue.name} has a delivery limit of {limit}{own}, and no dead letters: RabbitMQ silently "
        f"drops a message of {late[0].name} that returned {limit} times, for instance because it kills its "
        "worker"
    )
    settings = ((queue, key), (late[0], "options.acks_late"))
    help_text = "write `dead_letter: true` in the queue"
    path: SpecPath = ("queues", queue.name)
    yield Hazard("delivery-limit-drops", settings, message, help_text, path, about=(queue,))


def _deleted(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    tasks = plan.texts(queue, "tasks")
    if plan.get(queue, "broadcast") or not is_consumed(plan, queue):
        return
    if any(plan.get(Scope("task", name), "critical") for name in tasks):
        return  # reported with the task
    expires = arguments_of(plan, queue)[EXPIRES]
    after = duration(expires / 1000) if isinstance(expires, int) else f"{expires} ms"
    message = (
        f"queue {queue.name} is deleted with its messages when no worker consumes it for {after}. Messages "
        "sent before a worker declares it again may be lost"
    )
    path: SpecPath = ("queues", queue.name, "arguments", EXPIRES)
    help_text = f"remove `{EXPIRES}`, and declare `expires` in tasks that are useless after a long wait"
    yield Hazard("queue-expires", ((queue, f"arguments.{EXPIRES}"),), message, help_text, path)
