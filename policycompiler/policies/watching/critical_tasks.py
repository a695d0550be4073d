"""When somebody is called because one run of a task has failed.

Decides:
    For each task that is `critical: true`, the scope `alert:CeleryTaskNewFailure:NAME` with the keys `alert`,
    `queue`, `task`, `other_tasks`, `earlier_names`, `team`, `severity`, `for_seconds`, `window_seconds`,
    `matchers`, `summary` and `description`.

Because:
    A share of failures says nothing of a task that is sent twice a day, and nothing of one whose every
    failure is money lost. celery-exporter counts failures by task; a counter that appears with its first
    failure in it has not increased, so its birth counts as well. A pattern speaks for all tasks that it
    matches but those that have an entry of their own. A run that is retried has not failed yet.

Example:
    tasks:
      shop.payments.charge_card: {critical: true, owner: payments, latency: interactive}

    alert:CeleryTaskNewFailure:shop.payments.charge_card/severity = "critical"
    alert:CeleryTaskNewFailure:shop.payments.charge_card/for_seconds = 0
    alert:CeleryTaskNewFailure:shop.payments.charge_card/team = "payments"

Refuses:
    PC531 critical-unwatched: send task events over Redis or RabbitMQ, or watch it in the task itself.
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
"""Each single failure matters, so somebody is called."""
PATIENCE_SECONDS = 0
"""A failure does not go away by waiting."""
WINDOW_SECONDS = 900
"""For so long after a failure the alert stands: long enough to be seen, and over before the next shift."""
NO_TEAM = None
"""Of a task that names no owner, in a service that names none."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """An alert for each critical task that runs here."""
    for name in spec.tasks:
        scope = Scope("task", name)
        if not plan.get(scope, "critical") or plan.value(scope, "external"):
            continue
        deaf = _deaf(plan, scope)
        if deaf:
            message = f"each failure of {name} matters, but nobody is told: {deaf}"
            help_text = "watch it in the task itself, such as by a task_failure signal"
            yield CRITICAL_UNWATCHED.at(("tasks", name, "critical"), message, help=help_text)
        else:
            yield from _alert(spec, plan, scope)


def _deaf(plan: Plan, task: Scope) -> str:
    """Why a failure makes no count anywhere; empty where it does."""
    transport = plan.text(APP, "broker_transport")
    if broker(transport).metrics is None:
        return f"celery-exporter counts nothing on {transport}"
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
    of = f"of {task.name} " if "*" not in task.name else f"of a task {task.name} "
    choices: dict[str, tuple[Value, str, tuple[Origin, ...]]] = {
        "alert": (ALERT, "each of its failures matters", (cause,)),
        "queue": (plan.value(task, "queue"), "where it is sent", (Derived(task, "queue"),)),
        "task": (task.name, "whose failures are counted", (cause,)),
        "team": team,
        "severity": (SEVERITY, "each of its failures matters", (Constant("SEVERITY", SEVERITY), cause)),
        "for_seconds": (
            PATIENCE_SECONDS,
            "a failure does not go away by waiting",
            (Constant("PATIENCE_SECONDS", PATIENCE_SECONDS),),
        ),
        "window_seconds": (
            WINDOW_SECONDS,
            "long enough to be seen",
            (Constant("WINDOW_SECONDS", WINDOW_SECONDS),),
        ),
        "summary": (f"Task {task.name} failed", "says what is wrong", (cause,)),
        "description": (
            (
                f"A run {of}has failed for good within the last {window}; each of its failures matters. "
                f"{_first_step(plan, task)}"
            ),
            "says what is known",
            (cause, Derived(scope, "window_seconds")),
        ),
    }
    exporter = Derived(Scope("alert", "CeleryExporterDown"), "matchers")
    if plan.find(*exporter):
        choices["matchers"] = (plan.value(*exporter), "those of the exporter", (exporter,))
    if plan.find(task, "renamed_from"):
        names, why = plan.value(task, "renamed_from"), "runs under an earlier name count under that"
        choices["earlier_names"] = (names, why, (Derived(task, "renamed_from"),))
    if others:
        choices["other_tasks"] = (others, "they have entries of their own", (cause,))
    for key, (value, because, origins) in choices.items():
        yield Decision(scope, key, value, because, origins)


def _first_step(plan: Plan, task: Scope) -> str:
    """The logs of its workers."""
    service = plan.get(APP, "service", "SERVICE")
    units = [f"--unit={service}-worker-{name}@1.service" for name in plan.texts(task, "workers")]
    return f"First: journalctl {' '.join(units)} --since=-1h --priority=warning."


def _team(plan: Plan, task: Scope) -> tuple[Value, str, tuple[Origin, ...]]:
    for scope, whose in ((task, "the task's owner"), (APP, "nobody owns it alone, so the service's owner")):
        if plan.find(scope, "owner"):
            return plan.value(scope, "owner"), whose, (Derived(scope, "owner"),)
    return NO_TEAM, "nobody is declared its owner", (Constant("NO_TEAM", NO_TEAM),)
