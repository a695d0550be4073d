"""Plans written by hand, for tests of what reads a plan."""

from __future__ import annotations

from collections.abc import Mapping

from policycompiler.plan import Constant, Decision, Plan, PlanDraft, Value, scope_from_text


def plan_of(scopes: Mapping[str, Mapping[str, Value]]) -> Plan:
    """A plan of these values: `{"task:shop.mail.send": {"queue": "shop.interactive.io"}}`."""
    draft = PlanDraft()
    for scope, keys in scopes.items():
        for key, value in keys.items():
            origin = Constant("GIVEN", value)
            draft.settle(Decision(scope_from_text(scope), key, value, "the test says so", (origin,)), "test")
    return draft.finished()
