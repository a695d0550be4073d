"""When a message is acknowledged: before a task runs, or after.

Decides:
    `task:NAME/options.acks_late`, and `app/task_acks_late` for tasks that nobody declared.

Because:
    Acknowledged early, a task is lost when its worker dies; acknowledged late, it runs again. The second
    is right exactly where running twice does no harm
    (https://docs.celeryq.dev/en/stable/faq.html#should-i-use-retry-or-acks-late).

Example:
    tasks:
      shop.mail.send: {idempotent: true}
      shop.payments.charge: {idempotent: false}

    task:shop.mail.send/options.acks_late = true
    task:shop.payments.charge/options.acks_late = false
    app/task_acks_late = false

Refuses:
    PC201 late-ack-non-idempotent: drop the pin, or make the task safe to run twice and declare it.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, error
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Written

NAME = "late-acknowledgement"

LATE_ACK_NON_IDEMPOTENT = error("PC201", "late-ack-non-idempotent")

UNDECLARED_ACKS_LATE = False
"""Nobody said that an undeclared task may run twice."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Late for what may run twice, early for everything else."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        idempotent = plan.value(scope, "idempotent")
        if plan.find(scope, "options.acks_late") is None:
            if idempotent:
                because = "safe to run twice, so a run that its worker did not finish is given to another"
            else:
                because = "not safe to run twice, so it is taken off the queue before it runs"
            origins = (Derived(scope, "idempotent"),)
            yield Decision(scope, "options.acks_late", bool(idempotent), because, origins)
        elif plan.value(scope, "options.acks_late") and not idempotent:
            yield _objection(plan, scope)
    if plan.find(APP, "task_acks_late") is None:
        because = "nobody said that an undeclared task may run twice"
        undeclared = (Constant("UNDECLARED_ACKS_LATE", UNDECLARED_ACKS_LATE),)
        yield Decision(APP, "task_acks_late", UNDECLARED_ACKS_LATE, because, undeclared)
    elif plan.value(APP, "task_acks_late"):
        message = "`task_acks_late: true` repeats every task that nobody declared when a worker dies"
        help_text = "remove it; tasks declared `idempotent: true` are acknowledged late anyway"
        yield LATE_ACK_NON_IDEMPOTENT.at(("celery", "settings", "task_acks_late"), message, help=help_text)


def _objection(plan: Plan, scope: Scope) -> Diagnostic:
    name = scope.name
    message = (
        f"{name} is acknowledged late, so it runs again when a worker dies, but it is not safe to run twice"
    )
    help_text = "remove `acks_late`, or make the task idempotent and declare it"
    declared = plan.setting(scope, "idempotent").origins[0]
    related = (Related(declared.path, "declared here"),) if isinstance(declared, Written) else ()
    path = ("tasks", name, "options", "acks_late")
    return LATE_ACK_NON_IDEMPOTENT.at(path, message, help=help_text, related=related)
