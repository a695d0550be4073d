"""Alerts on the promises of a queue: the share of late starts, and the budgets of late and failed runs.

A budget alert compares a long and a short window, so it fires soon and ends soon. The factors are those of
the Site Reliability Workbook: at 14.4, two percent of the budget of 30 days are gone in one hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.knowledge.signals import Signal
from policycompiler.plan import Constant, Derived, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    TICKET,
    About,
    Choice,
    Found,
    constant,
    decide,
    patience,
    severity,
    span,
    tuned_choice,
)
from policycompiler.policies.watching.alerts.first_steps import look, read_log
from policycompiler.policies.watching.alerts.queues import Queue
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration, share

LATE_WINDOW_SECONDS = 600
"""Twenty scrapes, so that a share exists even if some scrapes fail."""


class Burn(NamedTuple):
    """How fast a budget may burn: times its steady rate, over two windows, for some time."""

    factor: float
    long_seconds: int
    short_seconds: int
    for_seconds: int


FAST = "Fast"
BURNS: Mapping[str, Burn] = MappingProxyType(
    {FAST: Burn(14.4, 3600, 300, 120), "Slow": Burn(6.0, 21600, 1800, 900)}
)


def _choices(
    plan: Plan, queue: Queue, name: str, tuned: Parameters, key: str, what: str
) -> dict[str, Choice]:
    """What the alerts of both budgets share; `key` is the parameter of the objective."""
    burn, own = BURNS[name], f"BURNS.{name}"
    threshold = round(burn.factor * (1 - getattr(tuned, key)), 6)
    because = f"at {burn.factor:g} times the objective, the budget of {what} for 30 days ends too soon"
    factor, windows = (
        Constant(f"{own}.factor", burn.factor),
        "two windows make the alert fire soon and end soon",
    )
    return {
        "severity": severity(plan, queue.scope, tuned)
        if name == FAST
        else constant("TICKET", TICKET, "the budget lasts for days"),
        "for_seconds": constant(f"{own}.for_seconds", burn.for_seconds, "the windows already wait"),
        "threshold": Choice(threshold, because, (factor, origin(tuned, key))),
        "minimum": tuned_choice(tuned, "least_runs", "a share of fewer runs is not meaningful"),
        "window_seconds": constant(f"{own}.long_seconds", burn.long_seconds, windows),
        "short_window_seconds": constant(f"{own}.short_seconds", burn.short_seconds, windows),
    }


def _bound(queue: Scope, promise: float) -> Choice:
    because = "this latency target is a bound of the histogram"
    return Choice(promise, because, (Derived(queue, "queue_wait_seconds"),))


def late_starts(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """Runs start later than promised: many now, or too many for the objective."""
    name, promise = queue.scope.name, plan.number(queue.scope, "queue_wait_seconds")
    about, signals = About(queue.scope), (Signal.WAIT,)
    choices = {
        "severity": constant("TICKET", TICKET, "the workers still start runs"),
        "for_seconds": patience(tuned, "a burst that ends by then needs no help"),
        "threshold": tuned_choice(tuned, "late_share", "a smaller share of late starts is no trend"),
        "minimum": tuned_choice(tuned, "least_runs", "a share of fewer runs is not meaningful"),
        "window_seconds": constant(
            "LATE_WINDOW_SECONDS", LATE_WINDOW_SECONDS, "a share over ten minutes is stable"
        ),
        "bound_seconds": _bound(queue.scope, promise),
    }
    description = (
        f"More than {share(tuned.late_share)} of the runs of queue {name} started later than "
        f"{duration(promise)} after they were sent. {look(plan)}"
    )
    summary = f"Runs of queue {name} start late"
    yield from decide(plan, "CeleryQueueWaitHigh", about, signals, choices, (summary, description), tuned)
    for suffix, burn in BURNS.items():
        burnt = {
            **_choices(plan, queue, suffix, tuned, "wait_objective", "late starts"),
            "bound_seconds": choices["bound_seconds"],
        }
        description = (
            f"The objective of queue {name} is {share(tuned.wait_objective)} of starts within "
            f"{duration(promise)}. In the last {span(burnt['window_seconds'])} late starts used its budget "
            f"{burn.factor:g} times too fast. {look(plan)}"
        )
        summary = f"Queue {name} misses its latency objective"
        alert = f"CeleryQueueWaitBudget{suffix}"
        yield from decide(plan, alert, about, signals, burnt, (summary, description), tuned)


def failed_runs(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """More runs fail than the objective allows."""
    name = queue.scope.name
    for suffix, burn in BURNS.items():
        choices = _choices(plan, queue, suffix, tuned, "success_objective", "failures")
        description = (
            f"The objective of queue {name} is {share(tuned.success_objective)} of runs without a failure. "
            f"In the last {span(choices['window_seconds'])} failures used its budget {burn.factor:g} times "
            f"too fast. {read_log(plan, queue.workers)}"
        )
        summary = f"Queue {name} misses its success objective"
        alert, signals = f"CeleryTaskErrorBudget{suffix}", (Signal.FAILED, Signal.SUCCEEDED)
        yield from decide(plan, alert, About(queue.scope), signals, choices, (summary, description), tuned)
