"""Runs that are repeated or lost because of the time at which their message is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related, Remove, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.hazards.lost_connections import CANCEL
from policycompiler.plan import APP, Plan, Scope, Written

ACKS_LATE, APP_WIDE = "options.acks_late", "task_acks_late"


def acknowledgement(plan: Plan) -> Iterator[Hazard]:
    """Check each task that runs here, and undeclared tasks."""
    own = [task for task in plan.scopes("task") if not plan.get(task, "external")]
    for task in own:
        pinned = plan.find(task, ACKS_LATE)
        if pinned is None or not isinstance(pinned.origins[0], Written):
            continue
        if pinned.value and not plan.get(task, "idempotent"):
            yield _repeated(plan, task)
        elif plan.get(task, "idempotent") and plan.get(task, "critical") and pinned.value is False:
            yield _lost(task)
    yield from _goes_on(plan, [task for task in own if plan.get(task, ACKS_LATE)])
    app_wide = plan.written(APP, APP_WIDE)
    if app_wide is not None and plan.get(APP, APP_WIDE):
        message = (
            "`task_acks_late: true` repeats tasks that do not declare whether they are safe to run twice"
        )
        help_text = "remove the pin; tasks with `idempotent: true` are acknowledged late anyway"
        yield Hazard("late-ack-undeclared", ((APP, APP_WIDE),), message, help_text, app_wide)


def _repeated(plan: Plan, task: Scope) -> Hazard:
    path: SpecPath = ("tasks", task.name, "options", "acks_late")
    declared = plan.setting(task, "idempotent").origins[0]
    settings = ((task, ACKS_LATE), (task, "idempotent"))
    why = f"{task.name} is acknowledged late, so it runs again when a worker dies, "
    if not isinstance(declared, Written):
        message = f"{why}but it does not declare whether it is safe to run twice"
        help_text = "declare `idempotent: true` or `idempotent: false`"
        return Hazard("late-ack-undeclared", settings, message, help_text, path)
    help_text = "remove `acks_late`, or make the task idempotent and declare it"
    related = (Related(declared.path, "declared here"),)
    message = f"{why}but it is not safe to run twice"
    return Hazard("late-ack-non-idempotent", settings, message, help_text, path, related)


def _lost(task: Scope) -> Hazard:
    path: SpecPath = ("tasks", task.name, "options", "acks_late")
    message = (
        f"{task.name} is critical and safe to run twice, but it is acknowledged before it runs, "
        "so it is lost when its worker dies"
    )
    related = (Related(("tasks", task.name, "critical"), "each failure matters"),)
    help_text = "remove `acks_late: false`; the task is then acknowledged late"
    settings = ((task, ACKS_LATE), (task, "critical"), (task, "idempotent"))
    return Hazard("early-ack-must-not-lose", settings, message, help_text, path, related)


def _goes_on(plan: Plan, late: list[Scope]) -> Iterator[Hazard]:
    """A late run that is not canceled although its message is redelivered to another worker."""
    if late and plan.get(APP, CANCEL) is False and plan.written(APP, CANCEL) is not None:
        message = (
            f"when a worker loses its connection, {late[0].name} runs twice at the same time: the run "
            "continues, and the broker redelivers its message to another worker"
        )
        path: SpecPath = ("celery", "settings", CANCEL)
        help_text = "remove the pin; only late-acknowledged runs are then canceled, and they run again"
        settings = ((APP, CANCEL), *((task, ACKS_LATE) for task in late))
        yield Hazard("cancel-on-loss", settings, message, help_text, path, fix=(Remove(path),), about=(APP,))
