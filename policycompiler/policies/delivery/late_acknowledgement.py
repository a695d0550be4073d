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
        fires: tasks: {shop.a: {idempotent: false, options: {acks_late: true}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: true}}}
    PC234 late-ack-undeclared: declare whether the task may run twice.
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

from policycompiler.diagnostics import Diagnostic, Profile, error, warning
from policycompiler.hazards.acknowledgement import acknowledgement
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Setting, Written

NAME = "late-acknowledgement"

LATE_ACK_NON_IDEMPOTENT = error("PC201", "late-ack-non-idempotent")
LATE_ACK_UNDECLARED = warning("PC234", "late-ack-undeclared", Profile.MINIMAL)
EARLY_ACK_MUST_NOT_LOSE = warning("PC221", "early-ack-must-not-lose", Profile.MINIMAL)
CANCEL_ON_LOSS = warning("PC222", "cancel-on-loss")

UNDECLARED_ACKS_LATE = False
"""Nobody said that an undeclared task may run twice."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Late for what may run twice, early for everything else."""
    app_wide = plan.find(APP, "task_acks_late")
    for name in spec.tasks:
        scope = Scope("task", name)
        if not plan.value(scope, "external") and plan.find(scope, "options.acks_late") is None:
            yield _decided(plan, scope, app_wide)
    if app_wide is None:
        because = "nobody said that an undeclared task may run twice"
        undeclared = (Constant("UNDECLARED_ACKS_LATE", UNDECLARED_ACKS_LATE),)
        yield Decision(APP, "task_acks_late", UNDECLARED_ACKS_LATE, because, undeclared)
    yield from as_findings(
        acknowledgement(plan),
        LATE_ACK_NON_IDEMPOTENT,
        LATE_ACK_UNDECLARED,
        EARLY_ACK_MUST_NOT_LOSE,
        CANCEL_ON_LOSS,
    )


def _decided(plan: Plan, scope: Scope, app_wide: Setting | None) -> Decision:
    declared = plan.setting(scope, "idempotent")
    if app_wide is not None and not isinstance(declared.origins[0], Written):
        because = "pinned for every task that does not say whether it may run twice"
        origins = (Derived(APP, "task_acks_late"),)
        return Decision(scope, "options.acks_late", bool(app_wide.value), because, origins)
    if declared.value:
        because = "safe to run twice, so a run that its worker did not finish is given to another"
    else:
        because = "not safe to run twice, so it is taken off the queue before it runs"
    return Decision(
        scope, "options.acks_late", bool(declared.value), because, (Derived(scope, "idempotent"),)
    )
