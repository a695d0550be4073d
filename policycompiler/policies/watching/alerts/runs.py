"""Alerts that count runs and need task events: a queue has stalled, or its runs fail."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan
from policycompiler.policies.watching.alerts.alert import (
    SCRAPE_INTERVAL_SECONDS,
    TICKET,
    Choice,
    constant,
    decide,
    minutes,
    patience,
    severity,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import read_log, restart
from policycompiler.policies.watching.alerts.queues import Queue, longest_run, positive
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration

SHORTEST_WINDOW_SECONDS = 600
"""Twenty scrapes, so that a rate exists even if some scrapes fail."""
LONGEST_WINDOW_SECONDS = 21600
"""Older failures belong to an earlier shift."""
UNKNOWN_RATE_WINDOW_SECONDS = 3600
"""For a queue whose tasks declare no rate: long enough if a task runs a few times a minute."""


def tells_of_runs(plan: Plan, queue: Queue) -> bool:
    """Whether events report each start and end, and the queue, which only the sent event names."""
    heard = all(plan.value(worker, "task_events") for worker in queue.workers)
    return heard and plan.value(APP, "task_send_sent_event") is True


def stalled(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """The queue holds messages, but no run starts."""
    choices = {
        "severity": severity(plan, queue.scope, tuned),
        "for_seconds": patience(tuned, "a message that has just arrived has not stalled"),
        "window_seconds": _starts_window(plan, queue),
    }
    description = (
        f"Queue {queue.scope.name} holds messages, but no task has started for "
        f"{span(choices['window_seconds'])}, longer than any run may take. "
        f"Its workers hang, or send no task events. {restart(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} has stalled"
    yield from decide(plan, "CeleryQueueStalled", queue.scope, choices, summary, description, tuned)


def failure_rate(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """More runs fail than a few accidents explain."""
    choices = {
        "severity": constant("TICKET", TICKET, "the other runs still succeed"),
        "for_seconds": patience(tuned, "a short outage of a dependency is over by then"),
        "threshold": Choice(
            tuned.failed_share, "a smaller share of runs fails by accident", (origin(tuned, "failed_share"),)
        ),
        "minimum": Choice(
            tuned.least_runs, "a failure rate of fewer runs is not meaningful", (origin(tuned, "least_runs"),)
        ),
        "window_seconds": _failures_window(plan, queue, tuned),
    }
    description = (
        f"More than {100 * tuned.failed_share:.3g}% of the runs of queue {queue.scope.name} failed within "
        f"{span(choices['window_seconds'])} (at least {tuned.least_runs} runs). "
        f"{read_log(plan, queue.workers)}"
    )
    summary = f"Runs of queue {queue.scope.name} fail"
    yield from decide(plan, "CeleryTaskFailureRate", queue.scope, choices, summary, description, tuned)


def _starts_window(plan: Plan, queue: Queue) -> Choice:
    """Longer than any run, because the next run starts after it."""
    longest, limit = longest_run(plan, queue)
    window = max(SHORTEST_WINDOW_SECONDS, minutes(longest + 2 * SCRAPE_INTERVAL_SECONDS))
    origins = (
        limit,
        Constant("SCRAPE_INTERVAL_SECONDS", SCRAPE_INTERVAL_SECONDS),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
    )
    because = f"a run may hold a slot for {duration(longest)}, and the next run starts after that"
    return Choice(window, because, origins)


def _failures_window(plan: Plan, queue: Queue, tuned: Parameters) -> Choice:
    """Long enough for so many runs that a failure rate is meaningful."""
    declared = [task for task in queue.tasks if positive(plan, task, "rate_mean_per_second")]
    if not declared:
        because = "the tasks of this queue declare no rate"
        return constant("UNKNOWN_RATE_WINDOW_SECONDS", UNKNOWN_RATE_WINDOW_SECONDS, because)
    rate = sum(positive(plan, task, "rate_mean_per_second") for task in declared)
    window = min(LONGEST_WINDOW_SECONDS, max(SHORTEST_WINDOW_SECONDS, minutes(2 * tuned.least_runs / rate)))
    origins: tuple[Origin, ...] = (
        *(Derived(task, "rate_mean_per_second") for task in declared),
        origin(tuned, "least_runs"),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
        Constant("LONGEST_WINDOW_SECONDS", LONGEST_WINDOW_SECONDS),
    )
    because = (
        f"{tuned.least_runs} runs arrive in about {duration(float(f'{tuned.least_runs / rate:.2g}'))}, and "
        f"the window is twice that, but at least {duration(SHORTEST_WINDOW_SECONDS)} and at most "
        f"{duration(LONGEST_WINDOW_SECONDS)}"
    )
    return Choice(window, because, origins)
