"""Plans written by hand, for tests of what reads a plan."""

from __future__ import annotations

from collections.abc import Mapping

from policycompiler.plan import Constant, Decision, Plan, PlanDraft, Setting, Value, scope_from_text


def plan_of(scopes: Mapping[str, Mapping[str, Value]]) -> Plan:
    """A plan of these values: `{"task:shop.mail.send": {"queue": "shop.interactive.io"}}`."""
    draft = PlanDraft()
    for scope, keys in scopes.items():
        for key, value in keys.items():
            origin = Constant("GIVEN", value)
            draft.settle(Decision(scope_from_text(scope), key, value, "the test says so", (origin,)), "test")
    return draft.finished()


def another(value: Value) -> Value:
    """A value of the same kind that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return {**{key: another(item) for key, item in value.items()}, "another": "1"}
    if isinstance(value, list):
        return value[:-1] if value else ["another"]
    if isinstance(value, str):
        # The one word that is looked at more closely than for whether it is the same.
        return "redis" if value == "rabbitmq" else "rabbitmq" if value == "redis" else f"{value}x"
    return 1 if value is None else 12 * value + 1


def changed(plan: Plan, setting: Setting) -> Plan:
    """The plan with another value for one setting."""
    settings = {scope: dict(keys) for scope, keys in plan._settings.items()}
    settings[setting.scope][setting.key] = setting._replace(value=another(setting.value))
    return Plan(settings)
