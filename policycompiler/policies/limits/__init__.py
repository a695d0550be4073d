"""How long a run may last, and how many may start."""

from __future__ import annotations

from policycompiler.policies.limits import (
    limit_checks,
    rate_limits,
    time_limits,
)
from policycompiler.policies.policy import Policy

DECIDERS: tuple[Policy, ...] = (time_limits,)

CHECKS: tuple[Policy, ...] = (
    limit_checks,
    rate_limits,
)
