"""What the alerts have in common: how bad each is, who is told, and how it is put down, whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Value
from policycompiler.policies.watching.alerts.tuned import NAME, Parameters, origin

SCRAPE_INTERVAL_SECONDS = 30
"""Each scrape of celery-exporter asks the workers for at least 2 s, so it is scraped no oftener."""
PAGE = "critical"
"""Somebody is called."""
TICKET = "warning"
"""Somebody looks at it in office hours."""
NO_TEAM = None
"""Of an alert of a service that names no owner."""


class Choice(NamedTuple):
    """One decided value with its reason."""

    value: Value
    because: str
    origins: tuple[Origin, ...]


def constant(name: str, value: Value, because: str) -> Choice:
    """The choice of a constant, whatever the plan says."""
    return Choice(value, because, (Constant(name, value),))


def patience(tuned: Parameters, because: str) -> Choice:
    """The shortest that trouble has to last."""
    return Choice(minutes(tuned.patience), because, (origin(tuned, "patience"),))


def severity(plan: Plan, queue: Scope, tuned: Parameters) -> Choice:
    """How bad it is that nothing of a queue runs: as bad as somebody's wait for it."""
    promise = plan.number(queue, "queue_wait_seconds")
    origins = (Derived(queue, "queue_wait_seconds"), origin(tuned, "urgent_wait"))
    if promise <= tuned.urgent_wait:
        return Choice(PAGE, f"somebody waits who was promised a start within {promise:g} s", origins)
    return Choice(TICKET, f"a start was promised within {promise:g} s only", origins)


def minutes(seconds: float) -> int:
    """Whole minutes that hold these seconds, in seconds."""
    return math.ceil(seconds / 60) * 60


def span(choice: Choice) -> str:
    """A choice of whole minutes, which is in seconds, in words."""
    assert isinstance(choice.value, int)
    return f"{choice.value // 60} min"


def decide(
    plan: Plan,
    alert: str,
    queue: Scope | None,
    choices: Mapping[str, Choice],
    summary: str,
    description: str,
    tuned: Parameters,
    *,
    named: str = "",
) -> Iterator[Decision]:
    """One alert, whole; `queue` is None where it is about the service."""
    if queue is None:
        scope, cause = Scope("alert", alert), Derived(APP, "broker_transport")
        because = "it can be watched on this transport"
    else:
        scope, cause = Scope("alert", named or f"{alert}:{queue.name}"), Derived(queue, "workers")
        because = "it runs here"
    choices = {**choices, **_told(tuned, alert)}
    team, whose, of_team = _team(plan, queue)
    numbers = tuple(Derived(scope, key) for key in choices)
    yield Decision(scope, "alert", alert, because, (cause,))
    yield Decision(scope, "queue", queue.name if queue else None, because, (cause,))
    yield Decision(scope, "team", team, whose, of_team)
    for key, (value, why, origins) in choices.items():
        yield Decision(scope, key, value, why, origins)
    yield Decision(scope, "summary", summary, "says what is wrong", (cause,))
    yield Decision(scope, "description", description, "says by how much, from the alert's numbers", numbers)


def _told(tuned: Parameters, alert: str) -> dict[str, Choice]:
    """What the policy file says of an alert: another severity, and which series are this service's."""
    told = {}
    if alert in tuned.severities:
        path = ("parameters", NAME, "severities", alert)
        found: Value = tuned.severities[alert]
        told["severity"] = Choice(found, "the policy file says so", (Parameter(path, found),))
    key = "broker_matchers" if alert == "CeleryBrokerDown" else "exporter_matchers"
    matchers: Value = dict(getattr(tuned, key))
    if matchers:
        whose = "labels of what is this service's own"
        told["matchers"] = Choice(matchers, whose, (Parameter(("parameters", NAME, key), matchers),))
    return told


def _team(plan: Plan, queue: Scope | None) -> tuple[Value, str, tuple[Origin, ...]]:
    """Who is told: the queue's owner, else the service's."""
    if queue is not None and plan.find(queue, "owner"):
        return plan.value(queue, "owner"), "the queue's owner", (Derived(queue, "owner"),)
    if plan.find(APP, "owner"):
        return plan.value(APP, "owner"), "no single owner, so the service's", (Derived(APP, "owner"),)
    return NO_TEAM, "nobody is declared its owner", (Constant("NO_TEAM", NO_TEAM),)
