"""Hazards: the ways in which a plan loses, repeats or delays work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Finding, Fix, Related, SpecPath
from policycompiler.plan import Plan, Scope, Written


class Effect(StrEnum):
    """What happens to work."""

    LOST = "lost"
    DOUBLED = "doubled"
    REFUSED = "refused"
    """The broker or a client refuses it: processes do not start, or sends fail."""
    STRANDED = "stranded"
    """It waits in a queue that no worker consumes."""
    STARVED = "starved"
    """It waits longer than its latency target, or without end."""
    STALLED = "stalled"
    """It runs or waits without end, and nothing stops it."""


EFFECTS: Mapping[str, Effect] = {
    **dict.fromkeys(
        (
            *(
                "retries-refused",
                "chord-expiry",
                "cold-stop-early-ack",
                "critical-task-dropped",
                "delayed-retry-lost",
            ),
            *("delivery-limit-drops", "delivery-limit-zero", "early-ack-must-not-lose"),
            *("expires-before-countdown", "expires-within-promise", "external-queue-unchecked"),
            *("external-task-consumed", "fanout-unkept", "limit-below-p99", "messages-transient"),
            *("publish-unconfirmed", "queue-expires", "quorum-confirm", "result-not-accepted"),
            *("routing-key-unmatched", "serializer-not-accepted", "stop-timeout-short"),
        ),
        Effect.LOST,
    ),
    **dict.fromkeys(
        (
            *("binding-overlap", "broadcast-guarded", "broadcast-retried", "cancel-impossible"),
            *("cancel-on-loss", "dlq-consumed", "eta-over-visibility", "late-ack-non-idempotent"),
            *("late-ack-run-over-visibility", "late-ack-undeclared", "legacy-ack-flag"),
            *("rate-limit-over-visibility", "reserve-over-visibility", "retry-delay-over-visibility"),
            *("key-kept-short", "quorum-key-overlap", "retry-non-idempotent", "retry-undeclared"),
            *("schedule-fraction-dropped", "solo-heartbeat"),
            *("timeout-requeue-loop", "unacked-over-consumer-timeout", "reserve-over-consumer-timeout"),
            "worker-lost-loop",
        ),
        Effect.DOUBLED,
    ),
    **dict.fromkeys(
        (
            *("autoscale-off-prefork", "chord-backend", "connection-option-one-sided"),
            *("connection-value-refused", "control-queues-refused", "exchange-type-twice"),
            *("predefined-queue-missing", "quorum-subsecond", "queue-argument-refused", "queue-name-invalid"),
            *("queue-name-reserved", "quorum-unsupported", "redbeat-without-redis", "schedule-solar-refused"),
            *("soft-over-hard", "worker-start-refused"),
        ),
        Effect.REFUSED,
    ),
    **dict.fromkeys(("folders-apart", "queue-unconsumed"), Effect.STRANDED),
    **dict.fromkeys(
        (
            "burst-not-drained",
            "capacity-short",
            "eta-classic-rabbit4",
            "eta-limit-starves",
            "long-neighbor",
            "pool-cpu-green",
            "prefetch-unlimited",
            "promise-unkept",
            "quorum-direct",
            "rabbitmq-version-unknown",
            "rate-limit-below-rate",
            "rate-limit-starves",
            "result-expiry-off",
            "schedules-crowded",
            "soft-shutdown-missing",
        ),
        Effect.STARVED,
    ),
    **dict.fromkeys(
        (
            *(
                "broker-connection-given-up",
                "chord-ignore",
                "delivery-limit-missing",
                "duplicate-unanswered",
                "hard-limit-missing",
                "publish-retry-unbounded",
                "sentinel-waits-forever",
            ),
            *("pool-gevent-soft", "pool-time-limit-inert", "pool-time-limit-unkept"),
            *("remote-control-off", "retry-unbounded"),
        ),
        Effect.STALLED,
    ),
}
"""The effect of each hazard, by the name of its finding."""


Makers: TypeAlias = tuple[tuple[Scope, str], ...]
"""Settings, each by its scope and key."""


class Hazard(NamedTuple):
    """A hazard of a plan, with the name of its finding.

    `settings` cause it, the most important first. Two plans have the same hazard if they have a hazard with
    the same name that is `about` the same scopes. Without `about`, the scopes of the settings count.
    """

    name: str
    settings: Makers
    message: str
    help: str
    path: SpecPath
    related: tuple[Related, ...] = ()
    fix: Fix = ()
    about: tuple[Scope, ...] = ()

    @property
    def effect(self) -> Effect:
        """What happens to work."""
        return EFFECTS[self.name]

    @property
    def subject(self) -> frozenset[Scope]:
        """The scopes that it is about."""
        return frozenset(self.about or (scope for scope, _ in self.settings))

    def as_finding(self, finding: Finding) -> Diagnostic:
        """As `check` reports it."""
        return finding.at(self.path, self.message, help=self.help, related=self.related, fix=self.fix)


def as_findings(hazards: Iterable[Hazard], *findings: Finding) -> Iterator[Diagnostic]:
    """Hazards as `check` reports them; `findings` are the possible findings."""
    by_name = {finding.name: finding for finding in findings}
    return (hazard.as_finding(by_name[hazard.name]) for hazard in hazards)


def place_of(plan: Plan, scope: Scope, *keys: str) -> SpecPath:
    """Where the workload writes one of these settings; otherwise the entry of the scope."""
    for key in keys:
        found = plan.find(scope, key)
        for origin in found.origins if found is not None else ():
            if isinstance(origin, Written):
                return origin.path
    return (f"{scope.kind}s", scope.name) if scope.name else (scope.kind,)
