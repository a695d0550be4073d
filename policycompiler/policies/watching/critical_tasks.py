"""An alert for each failed run of a critical task.

Decides:
    For each task that is `critical: true`, the scope `alert:CeleryTaskNewFailure:NAME` with the keys `alert`,
    `queue`, `task`, `other_tasks`, `earlier_names`, `team`, `severity`, `for_seconds`, `window_seconds`,
    `matchers`, `summary` and `description`.

Because:
    A failure rate does not work for a task that is sent twice a day. It is also too late where each failure
    costs money. celery-exporter counts failures by task. A counter that appears with value 1 has not
    increased, so the alert also fires when a counter appears.

    A pattern covers all tasks that it matches, except tasks with their own entry. A run that will be retried
    has not failed yet.

Example:
    tasks:
      shop.payments.charge_card: {critical: true, owner: payments, latency: interactive}

    alert:CeleryTaskNewFailure:shop.payments.charge_card/severity = "critical"
    alert:CeleryTaskNewFailure:shop.payments.charge_card/for_seconds = 0
    alert:CeleryTaskNewFailure:shop.payments.charge_card/team = "payments"

Refuses:
    PC531 critical-unwatched: send task events over Redis or RabbitMQ, or report failures in the task's code.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {critical: true}}
        silent: tasks: {shop.a: {critical: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.brokers import broker
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "critical-tasks"

CRITICAL_UNWATCHED = warning("PC531", "critical-unwatched")

ALERT = "CeleryTaskNewFailure"
SEVERITY = "critical"
"""Each failure matters, so the alert pages a person."""
PATIENCE_SECONDS = 0
"""A failure does not go away by waiting."""
WINDOW_SECONDS = 900
"""How long the alert fires after a failure: people see it, and it ends before the next shift."""
NO_TEAM = None
"""Neither the task nor the service declares an owner."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """An alert for each critical task that runs here."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if not plan.get(scope, "critical") or plan.value(scope, "external"):
            continue
        deaf = _deaf(plan, scope)
        if deaf:
            message = f"each failure of {name} matters, but no alert can see one: {deaf}"
            help_text = "report failures in the application, for instance with a task_failure signal handler"
            yield CRITICAL_UNWATCHED.at(("tasks", name, "critical"), message, help=help_text)
        else:
            yield from _alert(spec, plan, scope)


def _deaf(plan: Plan, task: Scope) -> str:
    """Why celery-exporter cannot count failures of the task; empty if it can."""
    transport = plan.text(APP, "broker_transport")
    if broker(transport).metrics is None:
        return f"celery-exporter does not support {transport}"
    workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
    silent = [worker.name for worker in workers if not plan.value(worker, "task_events")]
    return f"worker {silent[0]} sends no task events" if silent else ""


def _alert(spec: Workload, plan: Plan, task: Scope) -> Iterator[Decision]:
    scope = Scope("alert", f"{ALERT}:{task.name}")
    cause = Derived(task, "critical")
    others: list[Value] = []
    if "*" in task.name:
        others += [name for name in sorted(spec.tasks) if name != task.name and fnmatchcase(name, task.name)]
    team = _team(plan, task)
    window = f"{WINDOW_SECONDS // 60} min"
    of = f"of {task.name} " if "*" not in task.name else f"of a task that matches {task.name} "
    choices: dict[str, tuple[Value, str, tuple[Origin, ...]]] = {
        "alert": (ALERT, "each failure of this task matters", (cause,)),
        "queue": (plan.value(task, "queue"), "the task is sent to this queue", (Derived(task, "queue"),)),
        "task": (task.name, "the alert counts the failures of this task", (cause,)),
        "team": team,
        "severity": (SEVERITY, "each failure of this task matters", (Constant("SEVERITY", SEVERITY), cause)),
        "for_seconds": (
            PATIENCE_SECONDS,
            "waiting does not undo a failure",
            (Constant("PATIENCE_SECONDS", PATIENCE_SECONDS),),
        ),
        "window_seconds": (
            WINDOW_SECONDS,
            "people have 15 min to see the alert",
            (Constant("WINDOW_SECONDS", WINDOW_SECONDS),),
        ),
        "summary": (f"Task {task.name} failed", "the summary names the task that failed", (cause,)),
        "description": (
            (
                f"A run {of}failed within the last {window} and is not retried. "
                "The workload declares this task critical: each failure matters. "
                f"{_first_step(plan, task)}"
            ),
            "the description gives the time window and the first step",
            (cause, Derived(scope, "window_seconds")),
        ),
    }
    exporter = Derived(Scope("alert", "CeleryExporterDown"), "matchers")
    if plan.find(*exporter):
        choices["matchers"] = (
            plan.value(*exporter),
            "the same labels select this service's celery-exporter",
            (exporter,),
        )
    if plan.find(task, "renamed_from"):
        names = plan.value(task, "renamed_from")
        why = "celery-exporter counts runs with an earlier name under that name"
        choices["earlier_names"] = (names, why, (Derived(task, "renamed_from"),))
    if others:
        choices["other_tasks"] = (
            others,
            "these tasks match the pattern but have their own entries",
            (cause,),
        )
    for key, (value, because, origins) in choices.items():
        yield Decision(scope, key, value, because, origins)


def _first_step(plan: Plan, task: Scope) -> str:
    """The command that shows the logs of the task's workers."""
    service = plan.get(APP, "service", "SERVICE")
    units = [f"--unit={service}-worker-{name}@1.service" for name in plan.texts(task, "workers")]
    return f"First: journalctl {' '.join(units)} --since=-1h --priority=warning."


def _team(plan: Plan, task: Scope) -> tuple[Value, str, tuple[Origin, ...]]:
    for scope, whose in (
        (task, "this team owns the task"),
        (APP, "the task declares no owner, and this team owns the service"),
    ):
        if plan.find(scope, "owner"):
            return plan.value(scope, "owner"), whose, (Derived(scope, "owner"),)
    return NO_TEAM, "neither the task nor the service declares an owner", (Constant("NO_TEAM", NO_TEAM),)
