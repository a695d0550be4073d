"""A plan in between two others, while it is being decided."""

from __future__ import annotations

from policycompiler.plan import (
    Decision,
    Origin,
    Plan,
    PlanDraft,
    Scope,
    Setting,
    Value,
)

POLICY = "rollout"
"""The policy that decides values that neither of the two plans has."""


class PlanBetween(PlanDraft):
    """A plan with some settings decided again."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        for scope, settings in plan.by_scope():
            self.take(scope, {setting.key: setting for setting in settings})

    def decide(
        self, scope: Scope, key: str, value: Value, because: str, *sources: Setting | Origin | None
    ) -> None:
        """Decide a setting.

        Its origins are those of settings of the two plans and its own; raises `ConflictError` without any.
        """
        origins: list[Origin] = []
        for source in sources:
            if isinstance(source, Origin):
                origins.append(source)
            elif source is not None:
                origins += [origin for origin in source.origins if origin not in origins]
        self.settle(Decision(scope, key, value, because, tuple(origins), overrides=True), POLICY)

    def as_in(self, plan: Plan, source: Scope, scope: Scope, key: str, because: str) -> None:
        """Give a setting of a scope the value of a scope of another plan, or none."""
        setting = plan.find(source, key)
        if setting is None or setting.value is None:
            self.drop(scope, key)
        elif setting.value != self.get(scope, key):
            self.decide(scope, key, setting.value, because, setting)
