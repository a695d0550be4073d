"""Events, alerts and runbooks."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.watching import (
    alerts,
    logs,
    metric_sources,
    priority_monitoring,
    runbooks,
    task_events,
    telemetry,
    traces,
)

DECIDERS: tuple[Policy, ...] = (
    metric_sources,
    task_events,
    telemetry,
    alerts,
    runbooks,
    logs,
    traces,
)

CHECKS: tuple[Policy, ...] = (priority_monitoring,)
