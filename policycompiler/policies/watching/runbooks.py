"""Where an on-call person reads on.

Decides:
    `alert:NAME/runbook`, where the task of the alert, or just one runbook of all tasks of its queue, says so.

Because:
    Whoever is called at night should not have to search. An alert of a queue is about all its tasks: two
    runbooks would be a guess.

Example:
    tasks: {shop.mail.send: {queue: mail, runbook: "https://wiki.example.com/mail"}}

    alert:CeleryQueueBacklog:mail/runbook = "https://wiki.example.com/mail"

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import Decision, Derived, Plan, Scope

NAME = "runbooks"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Hand each alert the runbook of what it is about."""
    del spec
    for scope in plan.scopes("alert"):
        tasks = _tasks(plan, scope)
        origins = [Derived(task, "runbook") for task in tasks if plan.find(task, "runbook")]
        books = {plan.value(origin.scope, origin.key) for origin in origins}
        if len(books) == 1:
            because = "that of the task" if plan.find(scope, "task") else "the only one of the queue's tasks"
            yield Decision(scope, "runbook", books.pop(), because, tuple(origins))


def _tasks(plan: Plan, alert: Scope) -> list[Scope]:
    """What it is about."""
    if plan.find(alert, "task"):
        return [Scope("task", plan.text(alert, "task"))]
    queue = plan.get(alert, "queue")
    if queue is None:
        return []
    return [Scope("task", name) for name in plan.texts(Scope("queue", str(queue)), "tasks")]
