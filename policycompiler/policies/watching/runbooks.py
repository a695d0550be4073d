"""The runbook of each alert.

Decides:
    `alert:NAME/runbook`, if the task of the alert declares a runbook, or the tasks of its queue declare
    exactly one.

Because:
    A person who is paged at night should not have to search. An alert on a queue concerns all tasks of the
    queue. If these tasks declare two runbooks, either could be the wrong one.

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
    """Give each alert the runbook of its task or queue."""
    del spec
    # A queue has several alerts, and may have thousands of tasks.
    of_queues: dict[str, list[Derived]] = {}
    for scope in plan.scopes("alert"):
        queue = plan.get(scope, "queue")
        if plan.find(scope, "task"):
            because, origins = "the task declares this runbook", _runbooks(plan, [plan.text(scope, "task")])
        elif queue is not None:
            name = str(queue)
            if name not in of_queues:
                of_queues[name] = _runbooks(plan, plan.texts(Scope("queue", name), "tasks"))
            because, origins = "the tasks of this queue declare no other runbook", of_queues[name]
        else:
            continue
        books = {plan.value(origin.scope, origin.key) for origin in origins}
        if len(books) == 1:
            yield Decision(scope, "runbook", books.pop(), because, tuple(origins))


def _runbooks(plan: Plan, tasks: list[str]) -> list[Derived]:
    """The runbooks that these tasks declare."""
    scopes = (Scope("task", name) for name in tasks)
    return [Derived(task, "runbook") for task in scopes if plan.find(task, "runbook")]
