"""The plan of today: what all looks showed, with the vocabulary of every plan."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.plan import Observed, Plan, Scope, Setting


def plan_of_today(seen: Iterable[Setting]) -> Plan:
    """The settings of all looks as a plan; of two values for one setting, the first counts."""
    settings: dict[Scope, dict[str, Setting]] = {}
    for setting in seen:
        settings.setdefault(setting.scope, {}).setdefault(setting.key, setting)
    return Plan(settings)


def place_of(setting: Setting) -> str:
    """Where a setting was seen; empty for one that no look showed."""
    return next((each.place for each in setting.origins if isinstance(each, Observed)), "")
