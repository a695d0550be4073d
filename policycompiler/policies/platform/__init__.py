"""The installation of a service, and the rules of the platform team."""

from __future__ import annotations

from policycompiler.policies.platform import (
    containers,
    custom_findings,
    hosts,
    installation,
    kubernetes_objects,
    platform_rules,
    redis_exporter,
    scaler,
    scaling,
    scaling_bounds,
)
from policycompiler.policies.policy import Policy

DECIDERS: tuple[Policy, ...] = (
    installation,
    scaling_bounds,
    containers,
    redis_exporter,
    kubernetes_objects,
    scaler,
    scaling,
    hosts,
)

CHECKS: tuple[Policy, ...] = (
    platform_rules,
    custom_findings,
)
