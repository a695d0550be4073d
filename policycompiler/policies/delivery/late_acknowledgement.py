"""When a message is acknowledged: before a task runs, or after.

Decides:
    `task:NAME/options.acks_late`, and `app/task_acks_late` for undeclared tasks.

Because:
    A task that is acknowledged early is lost when its worker dies. A task that is acknowledged late runs
    again. Late acknowledgment is right exactly for tasks that are safe to run twice
    (https://docs.celeryq.dev/en/stable/faq.html#should-i-use-retry-or-acks-late). When a worker loses its
    connection, the broker redelivers its unacknowledged messages to other workers at once. If the first run
    continues, the task runs twice at the same time. The policy broker-connection makes Celery cancel these
    runs.

Example:
    tasks:
      shop.mail.send: {idempotent: true}
      shop.payments.charge: {idempotent: false}

    task:shop.mail.send/options.acks_late = true
    task:shop.payments.charge/options.acks_late = false
    app/task_acks_late = false

Refuses:
    PC201 late-ack-non-idempotent: remove the pin, or make the task safe to run twice and declare it.
        fires: tasks: {shop.a: {idempotent: false, options: {acks_late: true}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: true}}}
    PC234 late-ack-undeclared: declare whether the task may run twice.
        fires: tasks: {shop.a: {options: {acks_late: true}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: true}}}
    PC221 early-ack-must-not-lose: remove the pin, or declare `critical: false` if a lost run is acceptable.
        fires: tasks: {shop.a: {idempotent: true, critical: true, options: {acks_late: false}}}
        silent: tasks: {shop.a: {idempotent: true, options: {acks_late: false}}}
    PC222 cancel-on-loss: remove the pin.
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
"""No declaration says that an undeclared task is safe to run twice."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Late for tasks that are safe to run twice, early for all other tasks."""
    app_wide = plan.find(APP, "task_acks_late")
    for name in spec.tasks:
        scope = Scope("task", name)
        if not plan.value(scope, "external") and plan.find(scope, "options.acks_late") is None:
            pinned = None if app_wide is None or app_wide.is_left_to_celery else app_wide
            yield _decided(plan, scope, pinned)
    if app_wide is None:
        because = "the workload does not declare that an undeclared task is safe to run twice"
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
        because = "`task_acks_late` is pinned, and the task does not declare whether it is safe to run twice"
        origins = (Derived(APP, "task_acks_late"),)
        return Decision(scope, "options.acks_late", bool(app_wide.value), because, origins)
    if declared.value:
        because = "the task is safe to run twice, so another worker repeats an unfinished run"
    else:
        because = "the task is not safe to run twice, so its message is acknowledged before it runs"
    return Decision(
        scope, "options.acks_late", bool(declared.value), because, (Derived(scope, "idempotent"),)
    )
