"""Events, alerts and runbooks."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.watching import (
    alerts,
    critical_tasks,
    metric_sources,
    notifications,
    priority_monitoring,
    runbooks,
    scraping,
    task_events,
)

DECIDERS: tuple[Policy, ...] = (
    metric_sources,
    scraping,
    task_events,
    alerts,
    critical_tasks,
    runbooks,
    notifications,
)

CHECKS: tuple[Policy, ...] = (priority_monitoring,)
