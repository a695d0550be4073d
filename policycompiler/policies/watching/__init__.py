"""Events, alerts and runbooks."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.watching import (
    alerts,
    logs,
    metric_sources,
    notifications,
    priority_monitoring,
    runbooks,
    scraping,
    task_events,
    telemetry,
    traces,
)

DECIDERS: tuple[Policy, ...] = (
    metric_sources,
    scraping,
    task_events,
    telemetry,
    alerts,
    runbooks,
    logs,
    traces,
    notifications,
)

CHECKS: tuple[Policy, ...] = (priority_monitoring,)
