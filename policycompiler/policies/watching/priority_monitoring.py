"""Whether the backlog alert of a queue counts all of its messages.

Decides:
    Nothing.

Because:
    On Redis each priority step is a separate list. Its name is the queue name, two control characters and
    the number. Step 0, the most urgent, has the plain queue name. celery-exporter measures only that list
    (https://github.com/danihodovic/celery-exporter/issues/272). The alert `CeleryQueueBacklog` therefore
    never fires for less urgent messages. `CeleryQueueStalled` still works, because it counts started runs.

Example:
    tasks:
      shop.mail.reset: {queue: mail, priority: 9}
      shop.mail.news: {queue: mail, priority: 2}

    refuses priority-monitoring

Refuses:
    PC232 priority-monitoring: name `redis-exporter` before `celery-exporter` in `sources` of metric-sources,
        use RabbitMQ, or give urgent tasks a separate queue.
        fires: tasks: {shop.a: {queue: mail, priority: 2}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, priority: 2}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.brokers import Levels
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope, Written
from policycompiler.plan.queue_lists import priority_step

NAME = "priority-monitoring"

PRIORITY_MONITORING = warning("PC232", "priority-monitoring")

BACKLOG = "CeleryQueueBacklog"
"""The alert that compares a queue's length."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each Redis queue with a backlog alert and tasks that are not sent to its first list."""
    del spec
    if plan.broker.levels is not Levels.LISTS:
        return
    for queue in plan.scopes("queue"):
        alert = Scope("alert", f"{BACKLOG}:{queue.name}")
        # A source that counts each list has their names from the plan.
        if not plan.keys(alert) or plan.find(alert, "lists"):
            continue
        unseen: dict[int, Scope] = {}
        for task in (Scope("task", name) for name in plan.texts(queue, "tasks")):
            number = plan.get(task, "options.priority")
            if isinstance(number, int) and (step := priority_step(plan, number)):
                unseen.setdefault(step, task)
        if unseen:
            yield _finding(plan, queue, sorted(unseen), unseen[min(unseen)])


def _finding(plan: Plan, queue: Scope, unseen: list[int], task: Scope) -> Diagnostic:
    message = (
        f"the backlog alert of queue {queue.name} counts only the most urgent messages: celery-exporter "
        f"does not count messages of priority {'step' if len(unseen) == 1 else 'steps'} "
        f"{', '.join(str(step) for step in unseen)}"
    )
    help_text = (
        "name `redis-exporter` before `celery-exporter` in `sources` of the policy metric-sources, "
        "use RabbitMQ, or give urgent tasks a separate queue"
    )
    origin = plan.setting(task, "options.priority").origins[0]
    path = origin.path if isinstance(origin, Written) else ("tasks", task.name)
    return PRIORITY_MONITORING.at(path, message, help=help_text)
