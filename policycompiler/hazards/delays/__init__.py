"""Delayed messages that block a worker, that Celery refuses, or that also reach another queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.delays.delays import SHORTEST_SECONDS, Delay, delays_of
from policycompiler.hazards.delays.overlaps import overlaps
from policycompiler.hazards.hazard import Hazard, Makers
from policycompiler.knowledge import pairs
from policycompiler.knowledge.pairs import Feature
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

__all__ = ["held_by_workers", "is_quorum", "overlapping", "quorum_queues", "refused", "stalled"]


def quorum_queues(plan: Plan) -> list[Scope]:
    """The quorum queues, where the broker has them."""
    if not plan.broker.quorum_queues:
        return []
    return [scope for scope in plan.scopes("queue") if is_quorum(plan, scope)]


def is_quorum(plan: Plan, queue: Scope) -> bool:
    """Whether a queue is a quorum queue."""
    return plan.text(queue, "type") == "quorum"


def held_by_workers(plan: Plan, task: Scope) -> Delay | None:
    """The longest delay of a task's messages, if workers hold them because the broker does not."""
    longest = max(delays_of(plan, task), key=lambda delay: delay.seconds, default=None)
    held = longest is not None and longest.seconds > 0 and not plan.value(task, "external")
    return longest if held and not _is_native(plan, task, quorum_queues(plan)) else None


def _is_native(plan: Plan, task: Scope, quorum: Sequence[Scope]) -> bool:
    queue = Scope("queue", plan.text(task, "queue"))
    return bool(quorum) and plan.value(queue, "exchange_type") != "direct"


def _all_delays(plan: Plan) -> dict[Scope, list[Delay]]:
    return {task: list(delays_of(plan, task)) for task in plan.scopes("task")}


def _makers(task: Scope, delay: Delay) -> Makers:
    return ((task, delay.key), (task, "queue"))


def stalled(plan: Plan) -> Iterator[Hazard]:
    """Tasks whose delayed messages can fill a worker, which then runs nothing."""
    if not plan.broker.quorum_queues:
        return
    quorum, delays = quorum_queues(plan), _all_delays(plan)
    for task in delays:
        if longest := held_by_workers(plan, task):
            yield from _stall(plan, task, Scope("queue", plan.text(task, "queue")), longest, quorum)
    if plan.find(APP, "broker_version") is None and not quorum:
        yield from _unknown_version(plan, delays)


def _stall(plan: Plan, task: Scope, queue: Scope, delay: Delay, quorum: list[Scope]) -> Iterator[Hazard]:
    """A delayed message that occupies one of a fixed number of prefetch places."""
    holds = (
        f"{delay.what} {duration(delay.seconds)}, and a worker of queue {queue.name} holds its message: "
        "a worker that holds only such messages runs nothing"
    )
    if quorum:
        related: tuple[Related, ...] = ()
        pinned = plan.written(queue, "exchange_type")
        if pinned is not None:
            related = (Related(pinned, "direct exchange: no delay in the broker"),)
        message = f"{holds} (direct exchange, and {quorum[0].name} is a quorum queue)"
        help_text = "remove `exchange_type: direct`; with a topic exchange the broker holds delayed messages"
        if pinned is None:
            help_text = (
                f"write `exchange_type: topic` for queue {queue.name}, so the broker holds delayed messages; "
                "if the queue exists, `policycompiler diff` prints the steps"
            )
        settings = ((queue, "exchange_type"), *_makers(task, delay))
        yield Hazard("quorum-direct", settings, message, help_text, delay.path, related, about=(task,))
        return
    celery, version = plan.text(APP, "celery_version"), plan.get(APP, "broker_version")
    if version is not None and pairs.broken(Feature.HOLD, "classic", celery, str(version)):
        message = f"{holds} (RabbitMQ {version} has no global prefetch for classic queues)"
        related = (Related(("broker", "version"), "no global prefetch"),)
        help_text = (
            f"write `queues: {{{queue.name}: {{type: quorum}}}}` (from Celery 5.5; `policycompiler diff` "
            f"prints the steps), or send {task.name} without a delay and store its due time in a database"
        )
        settings = ((APP, "broker_version"), (queue, "type"), *_makers(task, delay))
        yield Hazard("eta-classic-rabbit4", settings, message, help_text, delay.path, related, about=(task,))


def _unknown_version(plan: Plan, delays: Mapping[Scope, Sequence[Delay]]) -> Iterator[Hazard]:
    """Report once that the version is unknown: whether workers hold delayed messages depends on it."""
    for task, own in delays.items():
        delay = next((delay for delay in own if delay.seconds > 0), None)
        if delay is not None and not plan.value(task, "external"):
            queue = plan.text(task, "queue")
            message = (
                f"{delay.what} {duration(delay.seconds)}, and queue {queue} is classic: from RabbitMQ 4 a "
                "worker can hold only a few such messages, and then runs nothing"
            )
            help_text = "declare `broker.version`; from RabbitMQ 4, use quorum queues for delayed tasks"
            settings = ((APP, "broker_version"), *_makers(task, delay))
            yield Hazard("rabbitmq-version-unknown", settings, message, help_text, ("broker",), about=(APP,))
            return


def refused(plan: Plan) -> Iterator[Hazard]:
    """Delays of less than a second, of tasks and of their schedules, if the broker holds delayed messages."""
    quorum = quorum_queues(plan)
    for task in plan.scopes("task") if quorum else ():
        if plan.value(task, "external") or not _is_native(plan, task, quorum):
            continue
        short = [delay for delay in delays_of(plan, task) if 0 < delay.seconds < SHORTEST_SECONDS]
        told = {delay.path for delay in short}
        for schedule in plan.scopes("schedule"):
            options = plan.get(schedule, "options")
            countdown = options.get("countdown") if isinstance(options, dict) else None
            path: SpecPath = ("schedules", schedule.name, "options", "countdown")
            sends = plan.get(schedule, "task") == task.name
            if not sends or path in told or not isinstance(countdown, int | float):
                continue
            if 0 < countdown < SHORTEST_SECONDS:
                what = f"schedule {schedule.name} sends {task.name} with a countdown of"
                short.append(Delay(countdown, what, path, "max_countdown_seconds"))
        for delay in short:
            message = (
                f"{delay.what} {duration(delay.seconds)}, but the broker delays in whole seconds: "
                "Celery refuses to send it"
            )
            help_text = "write 0, or 1 s or more"
            yield Hazard(
                "quorum-subsecond", _makers(task, delay), message, help_text, delay.path, about=(task,)
            )


def overlapping(plan: Plan) -> Iterator[Hazard]:
    """Queues that also receive the messages of another queue, if there is a quorum queue."""
    for found in overlaps(plan, _all_delays(plan)) if quorum_queues(plan) else ():
        help_text = (
            f"write a `routing_key` for queue {found.queue} that does not end with the other queue's key"
        )
        queue = Scope("queue", found.queue)
        settings = ((queue, "routing_key"), (queue, "exchange"), (queue, "type"))
        yield Hazard(
            "quorum-key-overlap",
            settings,
            found.message,
            help_text,
            found.path,
            found.related,
            about=(queue,),
        )
