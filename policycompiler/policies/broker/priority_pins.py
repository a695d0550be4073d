"""Priorities that are pinned in the numbers of the broker.

Decides:
    Nothing.

Because:
    The compiler converts `priority` of a task to the number of its broker. It does not convert
    `options.priority` of a task or schedule. Redis delivers 0 first and 9 last. RabbitMQ delivers the highest
    number first. A number beyond the levels of its queue counts as the nearest level. A classic queue of
    RabbitMQ without `x-max-priority` has no levels (https://www.rabbitmq.com/docs/priority).

Example:
    tasks: {shop.mail.reset: {}}
    schedules: {s: {task: shop.mail.reset, every: 1m, options: {priority: 9}}}

    refuses priority-broker-order

Refuses:
    PC263 priority-out-of-range: write a level that the queue has.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, options: {priority: 20}}}
        silent: tasks: {shop.a: {priority: 9}}
    PC264 priority-broker-order: write `priority` for the task; 9 is the most urgent on every broker.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, options: {priority: 9}}}
        silent: tasks: {shop.a: {priority: 9}}
    PC267 priority-without-levels: declare `priorities` for the queue, or `priority` for the task.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, options: {priority: 5}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, options: {priority: 5}}}
            queues: {mail: {priorities: 10}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, SpecPath, error, warning
from policycompiler.knowledge.brokers import Levels
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope

NAME = "priority-pins"

PRIORITY_OUT_OF_RANGE = error("PC263", "priority-out-of-range")
PRIORITY_BROKER_ORDER = warning("PC264", "priority-broker-order")
PRIORITY_WITHOUT_LEVELS = warning("PC267", "priority-without-levels")

LAST_ON_REDIS = 9
"""kombu treats a higher number as 9."""


class _Pin(NamedTuple):
    """A number that is sent unchanged."""

    number: int
    path: SpecPath
    what: str
    task: Scope | None
    queue: str | None


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each pin against its broker and its queue."""
    levels = plan.broker.levels
    for pin in _pins(spec, plan):
        if levels is Levels.LISTS:
            yield from _on_redis(spec, plan, pin)
        elif levels is Levels.ARGUMENT and pin.queue is not None:
            yield from _on_rabbitmq(plan, pin)


def _pins(spec: Workload, plan: Plan) -> Iterator[_Pin]:
    for name, task in spec.tasks.items():
        # If `priority` is declared too, another finding compares the two.
        if task.options is not None and task.options.priority is not None and task.priority is None:
            scope, path = Scope("task", name), ("tasks", name, "options", "priority")
            yield _Pin(task.options.priority, path, name, scope, plan.text(scope, "queue"))
    for name, schedule in sorted(spec.schedules.items()):
        options = schedule.options
        if options is not None and options.priority is not None:
            known = Scope("task", schedule.task) if schedule.task in spec.tasks else None
            queue = options.queue or (plan.text(known, "queue") if known else None)
            where: SpecPath = ("schedules", name, "options", "priority")
            yield _Pin(options.priority, where, f"schedule {name}", known, queue)
    default = plan.find(APP, "task_default_priority")
    if default is not None and isinstance(default.value, int):
        of_app: SpecPath = ("celery", "settings", default.key)
        yield _Pin(default.value, of_app, "a task without a priority", None, None)


def _on_redis(spec: Workload, plan: Plan, pin: _Pin) -> Iterator[Diagnostic]:
    if pin.number > LAST_ON_REDIS:
        yield _beyond(pin, LAST_ON_REDIS)
        return
    declared = pin.task is not None and spec.tasks[pin.task.name].priority is not None
    agrees = declared and pin.task is not None and plan.get(pin.task, "options.priority") == pin.number
    # A default is the same for all tasks, so it changes no order.
    if agrees or (pin.task is None and pin.queue is None):
        return
    place = {0: "first", LAST_ON_REDIS: "last"}.get(pin.number, f"after 0 to {pin.number - 1}")
    message = (
        f"{pin.what} is sent with priority {pin.number}, which Redis delivers {place}: "
        "on Redis, 0 is the most urgent"
    )
    help_text = "write `priority` for the task instead; 9 is the most urgent on every broker"
    yield PRIORITY_BROKER_ORDER.at(pin.path, message, help=help_text)


def _on_rabbitmq(plan: Plan, pin: _Pin) -> Iterator[Diagnostic]:
    queue = Scope("queue", str(pin.queue))
    if not plan.keys(queue) or plan.get(queue, "external"):
        return
    most = plan.get(queue, "arguments.x-max-priority")
    if isinstance(most, int) and pin.number > most:
        yield _beyond(pin, most)
    elif most is None and plan.text(queue, "type") != "quorum":
        message = (
            f"queue {queue.name} has no priority levels, so priority {pin.number} of {pin.what} has no effect"
        )
        help_text = f"declare `queues: {{{queue.name}: {{priorities: 10}}}}`, or remove the pin"
        yield PRIORITY_WITHOUT_LEVELS.at(pin.path, message, help=help_text)


def _beyond(pin: _Pin, most: int) -> Diagnostic:
    where = f"queue {pin.queue}" if pin.queue else "a queue"
    message = f"{pin.what} is sent with priority {pin.number}, but {where} has levels from 0 to {most}"
    return PRIORITY_OUT_OF_RANGE.at(pin.path, message, help=f"write a number from 0 to {most}")
