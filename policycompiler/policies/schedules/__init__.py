"""What beat sends, when, and where it keeps its entries."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.schedules import (
    beat,
    beat_store,
    schedule_bursts,
    schedule_options,
    schedule_times,
    schedules,
    stored_schedules,
)

DECIDERS: tuple[Policy, ...] = (
    beat_store,
    schedules,
    schedule_options,
    beat,
)

CHECKS: tuple[Policy, ...] = (
    schedule_times,
    schedule_bursts,
    stored_schedules,
)
