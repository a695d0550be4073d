"""The runbook of each alert.

Decides:
    `alert:NAME/runbook`, if the task of the alert declares a runbook, or the tasks of its queue declare
    exactly one. Else, if the policy file says where RUNBOOK.md is, the section of the alert.

Because:
    A person who is paged at night should not have to search. An alert on a queue concerns all tasks of the
    queue. If these tasks declare two runbooks, either could be the wrong one. RUNBOOK.md in the compiled
    folder has a section for each alert, and a page that shows it has an address for each section.

Example:
    tasks: {shop.mail.send: {queue: mail, runbook: "https://wiki.example.com/mail"}}

    alert:CeleryQueueBacklog:mail/runbook = "https://wiki.example.com/mail"

Refuses:
    Nothing.

Parameters:
    `base`: the address of RUNBOOK.md, where people read it; null.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Text
from policycompiler.plan import Decision, Derived, Plan, Scope
from policycompiler.policies.policy import parameter

NAME = "runbooks"


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    base: Text | None = Field(None, description="address of RUNBOOK.md, where people read it")


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Give each alert the runbook of its task or queue, else the section of RUNBOOK.md."""
    del spec
    # A queue has several alerts, and may have thousands of tasks.
    of_queues: dict[str, list[Derived]] = {}
    for scope in plan.scopes("alert"):
        queue = plan.get(scope, "queue")
        origins: list[Derived] = []
        because = "the tasks of this queue declare no other runbook"
        if plan.find(scope, "task"):
            because, origins = "the task declares this runbook", _runbooks(plan, [plan.text(scope, "task")])
        elif queue is not None:
            name = str(queue)
            if name not in of_queues:
                of = Scope("queue", name)
                of_queues[name] = _runbooks(plan, plan.texts(of, "tasks") if plan.find(of, "tasks") else [])
            origins = of_queues[name]
        books = {plan.value(origin.scope, origin.key) for origin in origins}
        if len(books) == 1:
            yield Decision(scope, "runbook", books.pop(), because, tuple(origins))
        elif tuned.base:
            address = f"{tuned.base}#{plan.text(scope, 'alert').lower()}"
            because = "RUNBOOK.md has a section for each alert"
            found = parameter(NAME, "base", tuned.base)
            yield Decision(scope, "runbook", address, because, (found, Derived(scope, "alert")))


def _runbooks(plan: Plan, tasks: list[str]) -> list[Derived]:
    """The runbooks that these tasks declare."""
    scopes = (Scope("task", name) for name in tasks)
    return [Derived(task, "runbook") for task in scopes if plan.find(task, "runbook")]
