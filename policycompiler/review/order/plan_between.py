"""A plan in between two others, while it is being decided."""

from __future__ import annotations

from collections.abc import Mapping

from policycompiler.plan import (
    Constant,
    Decision,
    Derived,
    Origin,
    Parameter,
    Plan,
    PlanDraft,
    Scope,
    Setting,
    Value,
    Written,
)

POLICY = "rollout"
"""Who decides what stands in neither of the two plans."""


class PlanBetween(PlanDraft):
    """A plan as it is, of which some settings are decided once more."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        for setting in plan:
            self._settings.setdefault(setting.scope, {})[setting.key] = setting

    def take(self, scope: Scope, settings: Mapping[str, Setting]) -> None:
        """Let a scope be what it, or another one, is in another plan."""
        self._settings[scope] = {key: setting._replace(scope=scope) for key, setting in settings.items()}

    def decide(
        self, scope: Scope, key: str, value: Value, because: str, *sources: Setting | Origin | None
    ) -> None:
        """Decide a setting.

        It comes from what settings of the two plans came from, and from origins of its own; raises
        `ConflictError` where there is neither.
        """
        origins: list[Origin] = []
        for source in sources:
            if isinstance(source, Written | Derived | Constant | Parameter):
                origins.append(source)
            elif source is not None:
                origins += [origin for origin in source.origins if origin not in origins]
        self.settle(Decision(scope, key, value, because, tuple(origins), overrides=True), POLICY)

    def as_in(self, plan: Plan, source: Scope, scope: Scope, key: str, because: str) -> None:
        """Let a setting of a scope have the value that a scope of another plan has, or none."""
        setting = plan.find(source, key)
        if setting is None or setting.value is None:
            self._settings[scope].pop(key, None)
        elif setting.value != self.get(scope, key):
            self.decide(scope, key, setting.value, because, setting)
