"""An alert as the plan decides it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.plan import APP, Plan, Scope

MINUTE_SECONDS = 60
"""All times of alerts are whole minutes."""
SELECTING = (
    *("queue", "schedule", "task", "other_tasks", "earlier_names", "tasks", "nodes", "lists"),
    "dependency",
)
"""The keys of an alert that select its series."""


class Alert(NamedTuple):
    """An alert in the plan. An unused number is 0, an unused text is empty.

    `sources` are those whose metrics the rule reads, best first, and `matchers` has the labels that select
    this service's series in each of them. A `job` among them replaces the default job. `task` is a name or a
    pattern. The pattern does not include `other_tasks`, but runs with `earlier_names` count. `tasks` are all
    tasks of an alert on several. If `parks`, the runs that are parked do not count. `lists` are the lists in
    which the broker keeps messages of the queue.
    """

    name: str
    labels: Mapping[str, str]
    sources: tuple[str, ...]
    for_seconds: int
    summary: str
    description: str
    service: str = ""
    queue: str = ""
    schedule: str = ""
    task: str = ""
    other_tasks: tuple[str, ...] = ()
    earlier_names: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    dependency: str = ""
    parks: bool = False
    threshold: float = 0
    minimum: int = 0
    window_seconds: int = 0
    short_window_seconds: int = 0
    bound_seconds: float = 0
    runbook: str = ""
    matchers: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    minute_seconds: int = MINUTE_SECONDS


def read(plan: Plan, scope: Scope, labels: Mapping[str, str]) -> Alert:
    """An alert with the labels of its rule."""
    return measured(plan, scope)._replace(
        labels=labels,
        for_seconds=int(_number(plan, scope, "for_seconds")),
        summary=plan.text(scope, "summary"),
        description=plan.text(scope, "description"),
        runbook=_text(plan, scope, "runbook"),
        minute_seconds=int(plan.number_if_any(APP, "alert_minute_seconds") or MINUTE_SECONDS),
    )


def measured(plan: Plan, scope: Scope) -> Alert:
    """An alert as far as its expression depends on it: without texts and without patience."""
    return selected(plan, scope)._replace(
        threshold=_number(plan, scope, "threshold"),
        minimum=int(_number(plan, scope, "minimum")),
        window_seconds=int(_number(plan, scope, "window_seconds")),
        short_window_seconds=int(_number(plan, scope, "short_window_seconds")),
        bound_seconds=_number(plan, scope, "bound_seconds"),
        parks=plan.get(scope, "parks") is True,
    )


def selected(plan: Plan, scope: Scope, keys: Collection[str] = SELECTING) -> Alert:
    """An alert as far as the selectors of its series depend on these keys: without numbers."""

    def text(key: str) -> str:
        return _text(plan, scope, key) if key in keys else ""

    def texts(key: str) -> tuple[str, ...]:
        return _texts(plan, scope, key) if key in keys else ()

    matchers = plan.get(scope, "matchers")
    return Alert(
        name=plan.text(scope, "alert"),
        labels={},
        sources=_texts(plan, scope, "sources"),
        for_seconds=0,
        summary="",
        description="",
        service=plan.text(APP, "service"),
        queue=text("queue"),
        schedule=text("schedule"),
        task=text("task"),
        other_tasks=texts("other_tasks"),
        earlier_names=texts("earlier_names"),
        tasks=texts("tasks"),
        nodes=texts("nodes"),
        lists=texts("lists"),
        dependency=text("dependency"),
        matchers=_matchers(matchers) if isinstance(matchers, dict) else {},
    )


def _text(plan: Plan, scope: Scope, key: str) -> str:
    return str(plan.get(scope, key) or "")


def _texts(plan: Plan, scope: Scope, key: str) -> tuple[str, ...]:
    return tuple(plan.texts(scope, key)) if plan.find(scope, key) else ()


def _number(plan: Plan, scope: Scope, key: str) -> float:
    return plan.number(scope, key) if plan.find(scope, key) else 0


def _matchers(given: Mapping[str, object]) -> dict[str, dict[str, str]]:
    return {
        source: {name: str(value) for name, value in labels.items()}
        for source, labels in given.items()
        if isinstance(labels, dict)
    }
