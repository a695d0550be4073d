"""Alerts that count runs, which only task events tell of: a queue stands still, or its tasks fail."""

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

SHORTEST_WINDOW_SECONDS = 600
"""Twenty scrapes, so that a rate is one even if some fail."""
LONGEST_WINDOW_SECONDS = 21600
"""What failed longer ago than this was another shift's trouble."""
UNKNOWN_RATE_WINDOW_SECONDS = 3600
"""Of a queue whose tasks declare no rate: long enough for a task a few times a minute."""


def tells_of_runs(plan: Plan, queue: Queue) -> bool:
    """Whether events tell of each start and end, and of the queue, which only the sender's event names."""
    heard = all(plan.value(worker, "task_events") for worker in queue.workers)
    return heard and plan.value(APP, "task_send_sent_event") is True


def stalled(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """Messages wait, and none is started."""
    choices = {
        "severity": severity(plan, queue.scope, tuned),
        "for_seconds": patience(tuned, "what has just arrived is not stalled"),
        "window_seconds": _starts_window(plan, queue),
    }
    description = (
        f"Messages wait, but no task of {queue.scope.name} has started for "
        f"{span(choices['window_seconds'])}, longer than any run may take. "
        f"Its workers hang, or run without their events. {restart(plan, queue.workers)}"
    )
    summary = f"Queue {queue.scope.name} stands still"
    yield from decide(plan, "CeleryQueueStalled", queue.scope, choices, summary, description, tuned)


def failure_rate(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Decision]:
    """More runs fail than by accident."""
    choices = {
        "severity": constant("TICKET", TICKET, "the rest still succeeds"),
        "for_seconds": patience(tuned, "a hiccup of a dependency is none"),
        "threshold": Choice(tuned.failed_share, "more than accidents", (origin(tuned, "failed_share"),)),
        "minimum": Choice(
            tuned.least_runs, "a share of a few runs says nothing", (origin(tuned, "least_runs"),)
        ),
        "window_seconds": _failures_window(plan, queue, tuned),
    }
    description = (
        f"More than {100 * tuned.failed_share:.3g}% of the runs of {queue.scope.name} failed, "
        f"of at least {tuned.least_runs} within {span(choices['window_seconds'])}. "
        f"{read_log(plan, queue.workers)}"
    )
    summary = f"Tasks of queue {queue.scope.name} fail"
    yield from decide(plan, "CeleryTaskFailureRate", queue.scope, choices, summary, description, tuned)


def _starts_window(plan: Plan, queue: Queue) -> Choice:
    """Longer than any run, as the next one starts after it."""
    longest, limit = longest_run(plan, queue)
    window = max(SHORTEST_WINDOW_SECONDS, minutes(longest + 2 * SCRAPE_INTERVAL_SECONDS))
    origins = (
        limit,
        Constant("SCRAPE_INTERVAL_SECONDS", SCRAPE_INTERVAL_SECONDS),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
    )
    return Choice(window, f"a slot may be busy for {longest:g} s, and is free again after that", origins)


def _failures_window(plan: Plan, queue: Queue, tuned: Parameters) -> Choice:
    """Long enough for so many runs that a share of them says something."""
    declared = [task for task in queue.tasks if positive(plan, task, "rate_mean_per_second")]
    if not declared:
        return constant("UNKNOWN_RATE_WINDOW_SECONDS", UNKNOWN_RATE_WINDOW_SECONDS, "no rate is declared")
    rate = sum(positive(plan, task, "rate_mean_per_second") for task in declared)
    window = min(LONGEST_WINDOW_SECONDS, max(SHORTEST_WINDOW_SECONDS, minutes(2 * tuned.least_runs / rate)))
    origins: tuple[Origin, ...] = (
        *(Derived(task, "rate_mean_per_second") for task in declared),
        origin(tuned, "least_runs"),
        Constant("SHORTEST_WINDOW_SECONDS", SHORTEST_WINDOW_SECONDS),
        Constant("LONGEST_WINDOW_SECONDS", LONGEST_WINDOW_SECONDS),
    )
    return Choice(window, f"twice as long as {tuned.least_runs} runs take at {rate:g} a second", origins)
