"""A setting of the plan of today: what a look showed, and where."""

from __future__ import annotations

from policycompiler.plan import Observed, Scope, Setting, Value

POLICY = "as-observed"
"""The policy of each observed setting, where a plan names one."""


def observed(scope: Scope, key: str, value: Value, source: str, place: str) -> Setting:
    """A setting that a look of the kind `source` showed at `place`."""
    return Setting(scope, key, value, f"the {source} has it today", (Observed(source, place),), POLICY)
