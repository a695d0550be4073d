"""A plan with what is true of it, for the texts and commands of a runbook that depend on it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.commands import variable
from policycompiler.emitters.containers import has_containers
from policycompiler.emitters.prometheus.kinds import KINDS
from policycompiler.knowledge import pools
from policycompiler.knowledge.metric_sources import SOURCES, Source
from policycompiler.knowledge.runbook import Fact
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

_ALERTS = re.compile(rf"\b({'|'.join(sorted(KINDS, key=len, reverse=True))})\b")


class Book(NamedTuple):
    """A plan, its facts, the names of its alerts, and what stands for `{word}` in a text of the knowledge.

    Only what the file shows is read from `plan`, so each of `words` is asked when a text has it. `chosen` are
    the queues that schedules name in their options.
    """

    plan: Reading
    facts: frozenset[Fact]
    alerts: frozenset[str]
    words: Mapping[str, Callable[[], str]]
    chosen: Mapping[Scope, str]

    def applies(self, only: Fact | None) -> bool:
        """Whether a cause applies to the plan."""
        return only is None or only in self.facts

    def of(self, sources: Sequence[Source]) -> Book:
        """The book with what is true of the sources of metrics of a section."""
        told = [each for each in sources if each.queue_option]
        events = {Fact.EVENTS} if any(each.reads_events for each in sources) else set()
        facts = (self.facts - {Fact.EVENTS}) | events | ({Fact.TOLD_QUEUES} if told else set())
        counters = " or ".join(f"{each.label} (`{each.queue_option}`)" for each in told)
        return self._replace(facts=facts, words={**self.words, "counters": lambda: counters})

    def filled(self, text: str) -> str:
        """A text of the knowledge with the words of the plan."""
        for word, ask in self.words.items():
            if f"{{{word}}}" in text:
                text = text.replace(f"{{{word}}}", ask())
        return text

    def text(self, text: str) -> Raw:
        """A text of the knowledge; the names of alerts become links to their sections."""
        return Raw(_ALERTS.sub(self._link, self.filled(text)))

    def _link(self, found: re.Match[str]) -> str:
        return f"[{found[0]}](#{found[0].lower()})" if found[0] in self.alerts else f"`{found[0]}`"


def opened(plan: Plan) -> Book:
    """The book of a plan."""
    reading = Reading(plan)
    alerts = frozenset(reading.text(scope, "alert") for scope in plan.scopes("alert"))
    known = frozenset((*_of_broker(plan), *_of_workers(plan), *_of_service(plan)))
    words: dict[str, Callable[[], str]] = {
        "url": lambda: _url(reading),
        "store": lambda: f'"${variable(reading.text(APP, "guard_store_variable"))}"',
        "memory": lambda: str(reading.get(APP, "server.maxmemory", "BYTES")),
        "visibility": lambda: _visibility(reading),
    }
    return Book(reading, known, alerts, words, dict(_chosen(plan)))


def _chosen(plan: Plan) -> Iterator[tuple[Scope, str]]:
    for schedule in plan.scopes("schedule"):
        options = plan.get(schedule, "options")
        if isinstance(options, dict) and (queue := options.get("queue")):
            yield schedule, str(queue)


def _url(plan: Plan) -> str:
    """The URL of the broker as a word of the shell: most workloads have it in a variable."""
    found = plan.get(APP, "broker_url_variable")
    if found is not None:
        return f'"${variable(str(found))}"'
    return shlex.quote(str(plan.get(APP, "broker_url", "URL")))


def _visibility(plan: Plan) -> str:
    """How long the broker waits before it redelivers a message."""
    seconds = plan.number_if_any(APP, "visibility_timeout_seconds")
    redelivery = plan.broker.redelivery
    return duration(redelivery.default_seconds if seconds is None and redelivery else seconds or 0)


def _of_broker(plan: Plan) -> Iterator[Fact]:
    broker = plan.broker
    if broker.control:
        yield Fact.CONTROL
    if broker.evicts:
        yield Fact.IN_MEMORY
    if broker.blocks:
        yield Fact.BLOCKS
    if broker.declarations:
        yield Fact.DECLARED
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


_OF_GUARDS = (
    (Fact.BREAKERS, "dependency", "breaker"),
    (Fact.KEYED, "task", "idempotency_key"),
    (Fact.REFUSES, "task", "payload_enforced_bytes"),
    (Fact.REFUSES, "queue", "bound_messages"),
)
"""What is true if the plan has such a setting."""


def _of_service(plan: Plan) -> Iterator[Fact]:
    yield Fact.CONTAINERS if has_containers(plan) else Fact.UNITS
    if plan.scopes("beat"):
        yield Fact.BEAT
        if not plan.get(APP, "beat_enable_remote_control"):
            yield Fact.SILENT_BEAT
    yield Fact.MEMORY_LIMIT if plan.find(APP, "server.maxmemory") else Fact.NO_MEMORY_LIMIT
    if plan.find(APP, "exporter_image" if has_containers(plan) else "exporter_python"):
        yield Fact.EXPORTER
    if plan.get(APP, "result_backend_kind") is not None:
        yield Fact.RESULTS
    yield from (
        fact for fact, kind, key in _OF_GUARDS if any(plan.find(each, key) for each in plan.scopes(kind))
    )
    kept = any(plan.get(queue, "dead_letter_queue") for queue in plan.scopes("queue"))
    yield Fact.LETTERS if kept else Fact.NO_LETTERS
    for name in plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []:
        if SOURCES[name].reads_events:
            yield Fact.EVENTS
        if SOURCES[name].in_workers and not has_containers(plan):
            yield Fact.TELEMETRY_PORTS
