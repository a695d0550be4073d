"""The policies, in the order in which they decide, and the loop that applies them.

The order is documentation: what the user wrote comes first, then who goes where, then how each task is
delivered, then the processes that run it, then what follows from all of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.model import Workload
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

    def apply(self, spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
        """Decide and object, given what the user wrote and what earlier policies have settled."""
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


MOST_ERRORS = 1000
"""More than anybody reads before mending the first ones; what comes after them is not looked for."""


def decide(spec: Workload) -> tuple[Plan, list[Diagnostic]]:
    """Apply every policy in order. An exception in one goes up with a note that names it."""
    draft = PlanDraft()
    findings: list[Diagnostic] = []
    errors = 0
    for policy in POLICIES:
        try:
            for item in policy.apply(spec, draft):
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
