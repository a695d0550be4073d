"""The cause of a difference: a line of the workload, or another difference."""

from __future__ import annotations

from policycompiler.diagnostics import SpecPath
from policycompiler.plan import Derived, Parameter, Plan, Scope, Setting, Written, vocabulary


def cause(plan: Plan, setting: Setting | None, differing: frozenset[tuple[Scope, str]]) -> SpecPath:
    """The path in the workload that a setting comes from, preferably through settings that differ."""
    if setting is None:
        return ()
    todo, seen = [setting], {(setting.scope, setting.key)}
    otherwise: SpecPath = ()
    while todo:
        each = todo.pop(0)
        for origin in each.origins:
            if isinstance(origin, Written) and (each.scope, each.key) in differing:
                return origin.path
            if isinstance(origin, Written):
                otherwise = otherwise or origin.path
        ways = [origin for origin in each.origins if isinstance(origin, Derived)]
        for way in sorted(ways, key=lambda way: (way.scope, way.key) not in differing):
            source = plan.find(way.scope, way.key)
            if source is not None and (way.scope, way.key) not in seen:
                seen.add((way.scope, way.key))
                todo.append(source)
    own: SpecPath = (f"{setting.scope.kind}s", setting.scope.name)
    # If nothing written differs, the own entry says more than its source.
    return own if setting.scope.kind in {"task", "schedule"} and otherwise[:2] != own else otherwise


def is_consequence(old: Setting | None, new: Setting | None, differing: frozenset[tuple[Scope, str]]) -> bool:
    """Whether a setting differs because another setting does, and not by a written value."""
    given = [setting for setting in (old, new) if setting is not None]
    if any(_is_mirror(setting) for setting in given):
        return True
    origins = [origin for setting in given for origin in setting.origins]
    if any(isinstance(origin, Written) for origin in origins) or _parameters(old) != _parameters(new):
        return False
    return any(isinstance(origin, Derived) and (origin.scope, origin.key) in differing for origin in origins)


def _is_mirror(setting: Setting) -> bool:
    """Whether a setting only repeats other settings."""
    declared = vocabulary.find(setting.scope.kind, setting.key)
    return declared is not None and declared.mirror


def _parameters(setting: Setting | None) -> list[Parameter]:
    return [] if setting is None else [each for each in setting.origins if isinstance(each, Parameter)]
