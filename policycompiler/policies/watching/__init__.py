"""Events, alerts and runbooks."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.watching import (
    alerts,
    metric_sources,
    priority_monitoring,
    runbooks,
    task_events,
)

DECIDERS: tuple[Policy, ...] = (
    metric_sources,
    task_events,
    alerts,
    runbooks,
)

CHECKS: tuple[Policy, ...] = (priority_monitoring,)
