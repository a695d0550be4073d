"""When a message is acknowledged: before a task runs, or after.

Decides:
    `task:NAME/options.acks_late`, and `app/task_acks_late` for tasks that nobody declared.

Because:
    Acknowledged early, a task is lost when its worker dies; acknowledged late, it runs again. The second
    is right exactly where running twice does no harm
    (https://docs.celeryq.dev/en/stable/faq.html#should-i-use-retry-or-acks-late). A lost connection gives
    the message of a late run to another worker at once, so a run that goes on beside its repetition does
    everything twice; broker-connection has such runs cancelled.

Example:
    tasks:
      shop.mail.send: {idempotent: true}
      shop.payments.charge: {idempotent: false}

    task:shop.mail.send/options.acks_late = true
    task:shop.payments.charge/options.acks_late = false
    app/task_acks_late = false

Refuses:
    PC201 late-ack-non-idempotent: drop the pin, or make the task safe to run twice and declare it.
        fires: tasks: {shop.a: {options: {acks_late: true}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: true}}}
    PC221 early-ack-must-not-lose: drop the pin, or say that a lost run is no matter.
        fires: tasks: {shop.a: {idempotent: true, critical: true, options: {acks_late: false}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: false}}}
    PC222 cancel-on-loss: drop the pin.
        fires:
            celery: {settings: {worker_cancel_long_running_tasks_on_connection_loss: false}}
            tasks: {shop.a: {idempotent: true}}
        silent:
            celery: {settings: {worker_cancel_long_running_tasks_on_connection_loss: false}}
            tasks: {shop.a: {}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, Related, Remove, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Written

NAME = "late-acknowledgement"

LATE_ACK_NON_IDEMPOTENT = error("PC201", "late-ack-non-idempotent")
EARLY_ACK_MUST_NOT_LOSE = warning("PC221", "early-ack-must-not-lose", Profile.MINIMAL)
CANCEL_ON_LOSS = warning("PC222", "cancel-on-loss")

UNDECLARED_ACKS_LATE = False
"""Nobody said that an undeclared task may run twice."""
_CANCEL = "worker_cancel_long_running_tasks_on_connection_loss"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Late for what may run twice, early for everything else."""
    late = []
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        idempotent = plan.value(scope, "idempotent")
        pinned = plan.get(scope, "options.acks_late")
        if idempotent if pinned is None else pinned:
            late.append(name)
        if plan.find(scope, "options.acks_late") is None:
            if idempotent:
                because = "safe to run twice, so a run that its worker did not finish is given to another"
            else:
                because = "not safe to run twice, so it is taken off the queue before it runs"
            origins = (Derived(scope, "idempotent"),)
            yield Decision(scope, "options.acks_late", bool(idempotent), because, origins)
        elif plan.value(scope, "options.acks_late") and not idempotent:
            yield _objection(plan, scope)
        elif idempotent and task.critical and pinned is False:
            yield _may_lose(scope)
    yield from _goes_on(plan, late)
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


def _may_lose(scope: Scope) -> Diagnostic:
    path: SpecPath = ("tasks", scope.name, "options", "acks_late")
    message = (
        f"{scope.name} is critical and safe to run twice, but it is acknowledged before it runs, "
        "so it is lost when its worker dies"
    )
    related = (Related(("tasks", scope.name, "critical"), "each single failure matters"),)
    help_text = "remove `acks_late: false`; the task is then acknowledged late"
    return EARLY_ACK_MUST_NOT_LOSE.at(path, message, help=help_text, related=related)


def _goes_on(plan: Plan, late: list[str]) -> Iterator[Diagnostic]:
    """A late run that is not cancelled although its message has gone to another worker."""
    if late and plan.get(APP, _CANCEL) is False:
        message = (
            f"when the connection is lost, {late[0]} goes on beside its own repetition: "
            "its message has been given to another worker"
        )
        path: SpecPath = ("celery", "settings", _CANCEL)
        help_text = "remove it; only late-acknowledged runs are cancelled, and those are run again"
        yield CANCEL_ON_LOSS.at(path, message, help=help_text, fix=(Remove(path),))
