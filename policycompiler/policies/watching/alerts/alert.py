"""Parts that all alerts have: severity, team, and the decisions of one alert."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Value
from policycompiler.policies.watching.alerts.tuned import NAME, Parameters, origin
from policycompiler.quantities import duration

SCRAPE_INTERVAL_SECONDS = 30
"""Each scrape of celery-exporter waits at least 2 s for workers, so Prometheus scrapes at this interval."""
PAGE = "critical"
"""The alert pages a person."""
TICKET = "warning"
"""A person looks at the alert in office hours."""
NO_TEAM = None
"""Neither the queue nor the service declares an owner."""


class Choice(NamedTuple):
    """One decided value with its reason."""

    value: Value
    because: str
    origins: tuple[Origin, ...]


def constant(name: str, value: Value, because: str) -> Choice:
    """The choice of a constant, whatever the plan says."""
    return Choice(value, because, (Constant(name, value),))


def patience(tuned: Parameters, because: str) -> Choice:
    """The shortest time that a problem must last."""
    return Choice(minutes(tuned.patience), because, (origin(tuned, "patience"),))


def severity(plan: Plan, queue: Scope, tuned: Parameters) -> Choice:
    """The severity of a stopped queue, by its latency target."""
    promise = plan.number(queue, "queue_wait_seconds")
    origins = (Derived(queue, "queue_wait_seconds"), origin(tuned, "urgent_wait"))
    if promise <= tuned.urgent_wait:
        because = (
            f"the queue's latency target is {duration(promise)}, "
            f"and targets up to {duration(tuned.urgent_wait)} page a person"
        )
        return Choice(PAGE, because, origins)
    because = (
        f"the queue's latency target is {duration(promise)}, "
        f"and only targets up to {duration(tuned.urgent_wait)} page a person"
    )
    return Choice(TICKET, because, origins)


def minutes(seconds: float) -> int:
    """Whole minutes that hold these seconds, in seconds."""
    return math.ceil(seconds / 60) * 60


def span(choice: Choice) -> str:
    """The seconds of a choice for people."""
    assert isinstance(choice.value, int)
    return duration(choice.value)


def decide(
    plan: Plan,
    alert: str,
    queue: Scope | None,
    choices: Mapping[str, Choice],
    summary: str,
    description: str,
    tuned: Parameters,
    *,
    about: Sequence[Scope] = (),
) -> Iterator[Decision]:
    """All decisions of one alert; `queue` is None for an alert on the whole service.

    The first of `about` names it instead of the queue. The owner of one of `about` gets it, else the owner of
    the queue or of the service.
    """
    if queue is None:
        scope, cause = Scope("alert", alert), Derived(APP, "broker_transport")
        because = "celery-exporter supports this transport"
    else:
        scope, cause = (
            Scope("alert", f"{alert}:{(about[0] if about else queue).name}"),
            Derived(queue, "workers"),
        )
        because = "a worker of this service consumes the queue"
    choices = {**choices, **_told(tuned, alert)}
    team, whose, of_team = _team(plan, queue, about)
    numbers = tuple(Derived(scope, key) for key in choices)
    yield Decision(scope, "alert", alert, because, (cause,))
    yield Decision(scope, "queue", queue.name if queue else None, because, (cause,))
    yield Decision(scope, "team", team, whose, of_team)
    for key, (value, why, origins) in choices.items():
        yield Decision(scope, key, value, why, origins)
    yield Decision(scope, "summary", summary, "the summary names the problem", (cause,))
    because = "the description gives the alert's numbers and the first step"
    yield Decision(scope, "description", description, because, numbers)


def _told(tuned: Parameters, alert: str) -> dict[str, Choice]:
    """What the policy file sets for an alert: its severity, and labels that select this service."""
    told = {}
    if alert in tuned.severities:
        path = ("parameters", NAME, "severities", alert)
        found: Value = tuned.severities[alert]
        told["severity"] = Choice(found, "the policy file sets this severity", (Parameter(path, found),))
    key = "broker_matchers" if alert == "CeleryBrokerDown" else "exporter_matchers"
    matchers: Value = dict(getattr(tuned, key))
    if matchers:
        whose = "these labels select the metrics of this service"
        told["matchers"] = Choice(matchers, whose, (Parameter(("parameters", NAME, key), matchers),))
    return told


def _team(plan: Plan, queue: Scope | None, about: Sequence[Scope]) -> tuple[Value, str, tuple[Origin, ...]]:
    """The team of an alert: the owner of its subject, else of the queue, else of the service."""
    for scope in about:
        if plan.find(scope, "owner"):
            return plan.value(scope, "owner"), f"this team owns the {scope.kind}", (Derived(scope, "owner"),)
    if queue is not None and plan.find(queue, "owner"):
        return plan.value(queue, "owner"), "this team owns the queue", (Derived(queue, "owner"),)
    if plan.find(APP, "owner"):
        because = "this team owns the service"
        if queue is not None:
            because = "the queue has no single owner, and this team owns the service"
        return plan.value(APP, "owner"), because, (Derived(APP, "owner"),)
    because = "the service declares no owner"
    if queue is not None:
        because = "the queue has no single owner, and the service declares none"
    return NO_TEAM, because, (Constant("NO_TEAM", NO_TEAM),)
