"""The alert on runs that take longer than declared.

A histogram knows only whether a run was longer than one of its bounds, so tasks with the same bound share an
alert. The bound is the first one that is not below the declared 99th percentile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policycompiler.knowledge.signals import SIGNALS, Signal, source_of
from policycompiler.plan import APP, Derived, Plan, Scope, Value
from policycompiler.policies.watching.alerts.alert import (
    TICKET,
    About,
    Choice,
    Found,
    Unseen,
    constant,
    decide,
    others,
    patience,
    sources,
    tuned_choice,
)
from policycompiler.policies.watching.alerts.first_steps import look
from policycompiler.policies.watching.alerts.queues import Queue, positive
from policycompiler.policies.watching.alerts.tuned import Parameters
from policycompiler.quantities import duration, share

SLOW_WINDOW_SECONDS = 3600
"""Long enough that tasks of a few runs a minute have a share."""
ALERT = "CeleryTaskRuntimeHigh"


def slow_runs(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """An alert for each bound that tasks of the queue declare."""
    by_bound: dict[float, list[Scope]] = {}
    declared = [task for task in queue.tasks if positive(plan, task, "runtime_p99_seconds")]
    source = source_of(Signal.RUN, sources(plan))
    if declared and source is None:
        yield Unseen(ALERT, Signal.RUN)
        return
    for task in declared:
        bound = _bound(plan, str(source), plan.number(task, "runtime_p99_seconds"))
        if bound is not None:
            by_bound.setdefault(bound, []).append(task)
    for bound, tasks in sorted(by_bound.items()):
        yield from _alert(plan, queue, bound, tasks, tuned)


def _bound(plan: Plan, source: str, seconds: float) -> float | None:
    """The first bound of the histogram that is not below a run time; None if there is none."""
    buckets: Iterable[Value] | None = SIGNALS[source][Signal.RUN].buckets
    if buckets is None:
        decided = plan.value(APP, "telemetry_run_buckets")
        assert isinstance(decided, list)
        buckets = decided
    bounds = (each for each in buckets if isinstance(each, int | float))
    return next((each for each in bounds if each >= seconds), None)


def _alert(plan: Plan, queue: Queue, bound: float, tasks: list[Scope], tuned: Parameters) -> Iterator[Found]:
    names: Value = [task.name for task in tasks]
    origins = tuple(Derived(task, "runtime_p99_seconds") for task in tasks)
    choices = {
        "severity": constant("TICKET", TICKET, "the runs still end"),
        "for_seconds": patience(tuned, "a slow dependency may recover by then"),
        "threshold": tuned_choice(tuned, "late_share", "the declared time is the 99th percentile"),
        "minimum": tuned_choice(tuned, "least_runs", "a share of fewer runs is not meaningful"),
        "window_seconds": constant(
            "SLOW_WINDOW_SECONDS", SLOW_WINDOW_SECONDS, "tasks of a few runs a minute have a share"
        ),
        "bound_seconds": Choice(bound, "the first bound not below the declared 99th percentile", origins),
        "tasks": Choice(names, "these tasks declare a run time with this bound", origins),
        **others(plan, [task.name for task in tasks], origins),
    }
    name = queue.scope.name
    description = (
        f"More than {share(tuned.late_share)} of the runs of a task of queue {name} took longer than "
        f"{duration(bound)}. Its declared 99th percentile is not more, and limits, slots and alerts follow "
        f"from it. {look(plan)} Then correct `runtime` in the workload, or the task."
    )
    summary = f"Runs of queue {name} take longer than declared"
    about = About(queue.scope, suffix=f"{name}:{bound:g}")
    yield from decide(plan, ALERT, about, (Signal.RUN,), choices, (summary, description), tuned)
