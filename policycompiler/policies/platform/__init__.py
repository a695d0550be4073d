"""The installation of a service, and the rules of the platform team."""

from __future__ import annotations

from policycompiler.policies.platform import (
    containers,
    custom_findings,
    hosts,
    installation,
    platform_rules,
)
from policycompiler.policies.policy import Policy

DECIDERS: tuple[Policy, ...] = (installation, containers, hosts)

CHECKS: tuple[Policy, ...] = (
    platform_rules,
    custom_findings,
)
