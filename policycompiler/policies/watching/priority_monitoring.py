"""Whether the alert on a queue's backlog sees all of its messages.

Decides:
    Nothing.

Because:
    On Redis each step of priority is a list of its own, named after the queue, two control characters and
    the number; step 0, the most urgent, has the queue's bare name. celery-exporter measures that one alone
    (https://github.com/danihodovic/celery-exporter/issues/272), so a backlog of what is less urgent raises
    no alert by its length; the alert on a queue that has stalled counts starts, and sees it.

Example:
    tasks:
      shop.mail.reset: {queue: mail, priority: 9}
      shop.mail.news: {queue: mail, priority: 2}

    refuses priority-monitoring

Refuses:
    PC232 priority-monitoring: watch the lengths of the other lists too (redis_exporter measures the keys
        it is given), use RabbitMQ, or a queue for what is urgent.
        fires: tasks: {shop.a: {queue: mail, priority: 2}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, priority: 2}}

Parameters:
    None.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.brokers import Levels
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope, Written

NAME = "priority-monitoring"

PRIORITY_MONITORING = warning("PC232", "priority-monitoring")

BACKLOG = "CeleryQueueBacklog"
"""The alert that compares a queue's length."""
KOMBU_STEPS = [0, 3, 6, 9]
"""Where none are set."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each queue of Redis with a backlog alert and tasks that are not sent to its first list."""
    del spec
    if plan.broker.levels is not Levels.LISTS:
        return
    options = plan.get(APP, "broker_transport_options")
    steps = _steps(options.get("priority_steps") if isinstance(options, dict) else None)
    for queue in plan.scopes("queue"):
        if not plan.keys(Scope("alert", f"{BACKLOG}:{queue.name}")):
            continue
        unseen: dict[int, Scope] = {}
        for task in (Scope("task", name) for name in plan.texts(queue, "tasks")):
            number = plan.get(task, "options.priority")
            if isinstance(number, int) and (step := steps[bisect(steps, number) - 1]):
                unseen.setdefault(step, task)
        if unseen:
            yield _finding(plan, queue, sorted(unseen), unseen[min(unseen)])


def _steps(steps: object) -> list[int]:
    """Those of the transport; what is not a list of numbers has been refused."""
    if isinstance(steps, list) and steps and all(type(step) is int for step in steps):
        return steps
    return KOMBU_STEPS


def _finding(plan: Plan, queue: Scope, unseen: list[int], task: Scope) -> Diagnostic:
    message = (
        f"the backlog alert of queue {queue.name} counts only its most urgent messages: celery-exporter "
        f"does not see what waits in {'step' if len(unseen) == 1 else 'steps'} "
        f"{', '.join(str(step) for step in unseen)} of its priorities"
    )
    help_text = (
        "watch the lengths of those lists too (redis_exporter measures the keys it is given), use RabbitMQ, "
        "or a queue of its own for what is urgent"
    )
    origin = plan.setting(task, "options.priority").origins[0]
    path = origin.path if isinstance(origin, Written) else ("tasks", task.name)
    return PRIORITY_MONITORING.at(path, message, help=help_text)
