"""The policies, in the order in which they decide, and the loop that applies them.

The order is documentation: what the user wrote comes first, then who goes where, then how each task is
delivered, then the processes that run it, then what follows from all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias

from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Decision, Plan, PlanDraft
from policycompiler.policies import (
    alerts,
    app_wide_pins,
    as_written,
    beat,
    broker_connection,
    concurrency,
    consumer_timeout,
    consumers,
    declared_facts,
    expiry,
    installation,
    late_acknowledgement,
    node_names,
    not_yet_honoured,
    placement,
    pool,
    prefetch,
    queue_declarations,
    queue_promises,
    recycling,
    results,
    retries,
    schedules,
    serialization,
    stop_timeout,
    task_events,
    time_limits,
    visibility_timeout,
    worker_descriptions,
    worker_lost,
)


class Policy(Protocol):
    """What a policy module offers."""

    NAME: str

    @property
    def apply(self) -> Callable[..., Iterator[Decision | Diagnostic]]:
        """`apply(spec, plan)` decides and objects, given what the user wrote and what has been settled.

        A policy that a policy file can tune has a class `Parameters`, and gets one as third argument.
        """
        ...


POLICIES: tuple[Policy, ...] = (
    as_written,
    declared_facts,
    placement,
    consumers,
    app_wide_pins,
    queue_promises,
    queue_declarations,
    time_limits,
    late_acknowledgement,
    retries,
    worker_lost,
    expiry,
    results,
    serialization,
    pool,
    concurrency,
    prefetch,
    recycling,
    stop_timeout,
    visibility_timeout,
    consumer_timeout,
    node_names,
    task_events,
    worker_descriptions,
    broker_connection,
    schedules,
    beat,
    installation,
    alerts,
    not_yet_honoured,
)


Tuning: TypeAlias = Mapping[str, PolicyParameters]
"""What a policy file sets, by the policy's name."""

UNTUNED: Tuning = MappingProxyType({})

MOST_ERRORS = 1000
"""More than anybody reads before mending the first ones; what comes after them is not looked for."""


def tunable(policy: Policy) -> type[PolicyParameters] | None:
    """What a policy file can set of a policy."""
    return getattr(policy, "Parameters", None)


def proposals(
    policy: Policy, spec: Workload, plan: Plan, tuning: Tuning = UNTUNED
) -> Iterator[Decision | Diagnostic]:
    """What one policy decides and objects to."""
    parameters = tunable(policy)
    if parameters is None:
        return policy.apply(spec, plan)
    return policy.apply(spec, plan, tuning.get(policy.NAME) or parameters())


def decide(spec: Workload, tuning: Tuning = UNTUNED) -> tuple[Plan, list[Diagnostic]]:
    """Apply every policy in order. An exception in one goes up with a note that names it."""
    draft = PlanDraft()
    findings: list[Diagnostic] = []
    errors = 0
    for policy in POLICIES:
        try:
            for item in proposals(policy, spec, draft, tuning):
                if isinstance(item, Decision):
                    draft.settle(item, policy.NAME)
                else:
                    findings.append(item)
                    errors += item.severity is Severity.ERROR
                if errors >= MOST_ERRORS:
                    return draft.finished(), findings
        except Exception as bug:
            bug.add_note(f"while the policy {policy.NAME} was deciding")
            raise
    return draft.finished(), findings
