"""The alert on each failed run of a critical task.

A failure rate does not work for a task that is sent twice a day, and comes too late where each failure costs
money. A pattern covers all tasks that it matches, except tasks with their own entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import Signal, source_of
from policycompiler.plan import Derived, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    About,
    Choice,
    Found,
    at_once,
    constant,
    decide,
    others,
    sources,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import read_log
from policycompiler.policies.watching.alerts.tuned import Parameters

SEEN_SECONDS = 900
"""How long the alert fires after a failure: people see it, and it ends before the next shift."""


def critical_tasks(plan: Plan) -> list[Scope]:
    """The critical tasks that run here."""
    tasks = plan.scopes("task")
    return [task for task in tasks if plan.get(task, "critical") and not plan.value(task, "external")]


def deaf(plan: Plan, task: Scope) -> str:
    """Why no source can count failures of the task; empty if one can."""
    source = source_of(Signal.FAILED, sources(plan))
    if source is None:
        return "no source of metrics counts failures"
    if not SOURCES[source].reads_events:
        return ""
    workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
    silent = [worker.name for worker in workers if not plan.value(worker, "task_events")]
    return f"worker {silent[0]} sends no task events" if silent else ""


def failed(plan: Plan, task: Scope, tuned: Parameters) -> Iterator[Found]:
    """The alert of one critical task."""
    cause = Derived(task, "critical")
    workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
    choices = {
        "task": Choice(task.name, "the alert counts the failures of this task", (cause,)),
        "severity": constant("PAGE", PAGE, "each failure of this task matters"),
        "for_seconds": at_once("waiting does not undo a failure"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    if plan.find(task, "renamed_from"):
        because = "runs with an earlier name are counted under that name"
        origin = Derived(task, "renamed_from")
        choices["earlier_names"] = Choice(plan.value(task, "renamed_from"), because, (origin,))
    choices |= others(plan, [task.name], (cause,))
    of = f"of a task that matches {task.name} " if "*" in task.name else f"of {task.name} "
    description = (
        f"A run {of}failed within the last {span(choices['window_seconds'])} and is not retried. "
        f"The workload declares this task critical: each failure matters. {read_log(plan, workers)}"
    )
    about = About(Scope("queue", plan.text(task, "queue")), closely=(task,))
    summary = f"Task {task.name} failed"
    signals = (Signal.FAILED,)
    yield from decide(plan, "CeleryTaskNewFailure", about, signals, choices, (summary, description), tuned)
