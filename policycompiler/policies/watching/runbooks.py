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
    # A queue has several alerts, and may have thousands of tasks.
    of_queues: dict[str, list[Derived]] = {}
    for scope in plan.scopes("alert"):
        queue = plan.get(scope, "queue")
        if plan.find(scope, "task"):
            because, origins = "that of the task", _runbooks(plan, [plan.text(scope, "task")])
        elif queue is not None:
            name = str(queue)
            if name not in of_queues:
                of_queues[name] = _runbooks(plan, plan.texts(Scope("queue", name), "tasks"))
            because, origins = "the only one of the queue's tasks", of_queues[name]
        else:
            continue
        books = {plan.value(origin.scope, origin.key) for origin in origins}
        if len(books) == 1:
            yield Decision(scope, "runbook", books.pop(), because, tuple(origins))


def _runbooks(plan: Plan, tasks: list[str]) -> list[Derived]:
    """Those of these tasks."""
    scopes = (Scope("task", name) for name in tasks)
    return [Derived(task, "runbook") for task in scopes if plan.find(task, "runbook")]
