"""A plan with what is true of it, for the texts and commands of a runbook that depend on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.containers import has_containers
from policycompiler.emitters.prometheus.kinds import KINDS
from policycompiler.knowledge import pools
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.runbook import Fact
from policycompiler.plan import APP, Plan
from policycompiler.quantities import duration

_ALERTS = re.compile(rf"\b({'|'.join(sorted(KINDS, key=len, reverse=True))})\b")


class Book(NamedTuple):
    """A plan, its facts, and the names of its alerts. Only what the file shows is read from `plan`."""

    plan: Reading
    facts: frozenset[Fact]
    alerts: frozenset[str]
    visibility: str

    def applies(self, only: Fact | None) -> bool:
        """Whether a cause applies to the plan."""
        return only is None or only in self.facts

    def text(self, text: str) -> Raw:
        """A text of the knowledge; the names of alerts become links to their sections."""
        return Raw(_ALERTS.sub(self._link, text.replace("{visibility}", self.visibility)))

    def _link(self, found: re.Match[str]) -> str:
        return f"[{found[0]}](#{found[0].lower()})" if found[0] in self.alerts else f"`{found[0]}`"


def opened(plan: Plan) -> Book:
    """The book of a plan."""
    reading = Reading(plan)
    alerts = frozenset(reading.text(scope, "alert") for scope in plan.scopes("alert"))
    known = frozenset((*_of_broker(plan), *_of_workers(plan), *_of_service(plan)))
    return Book(reading, known, alerts, _visibility(reading) if Fact.REDELIVERY in known else "")


def _visibility(plan: Plan) -> str:
    """How long the broker waits before it redelivers a message."""
    seconds = plan.number_if_any(APP, "visibility_timeout_seconds")
    redelivery = plan.broker.redelivery
    return duration(redelivery.default_seconds if seconds is None and redelivery else seconds or 0)


def _of_broker(plan: Plan) -> Iterator[Fact]:
    broker = plan.broker
    if broker.control:
        yield Fact.CONTROL
    if broker.consumer_timeout:
        yield Fact.CONSUMER_TIMEOUT
    if broker.redelivery is not None:
        yield Fact.REDELIVERY


def _of_workers(plan: Plan) -> Iterator[Fact]:
    for worker in plan.scopes("worker"):
        pool = pools.pool(str(plan.get(worker, "pool", "prefork")))
        if pool.recycles:
            yield Fact.CHILDREN
        if not (pool.hard and pool.soft):
            yield Fact.NO_LIMITS
        if not pool.answers:
            yield Fact.SOLO
        if plan.find(worker, "scaling"):
            yield Fact.SCALED


def _of_service(plan: Plan) -> Iterator[Fact]:
    yield Fact.CONTAINERS if has_containers(plan) else Fact.UNITS
    if plan.scopes("beat"):
        yield Fact.BEAT
    if plan.find(APP, "exporter_image" if has_containers(plan) else "exporter_python"):
        yield Fact.EXPORTER
    if plan.get(APP, "result_backend_kind") is not None:
        yield Fact.RESULTS
    kept = any(plan.get(queue, "dead_letter_queue") for queue in plan.scopes("queue"))
    yield Fact.LETTERS if kept else Fact.NO_LETTERS
    for name in plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []:
        if SOURCES[name].reads_events:
            yield Fact.EVENTS
