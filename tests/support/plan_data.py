"""A plan as plain data, each setting with all that is known of it: what format 1 of its file holds."""

from __future__ import annotations

from typing import Any

from policycompiler.plan import Constant, Default, Derived, Origin, Parameter, Plan, Written


def told(plan: Plan) -> dict[str, dict[str, Any]]:
    """The settings by scope and key."""
    found: dict[str, dict[str, Any]] = {}
    for setting in plan:
        found.setdefault(str(setting.scope), {})[setting.key] = {
            "value": setting.value,
            "policy": setting.policy,
            "because": setting.because,
            "origins": [_origin(origin) for origin in setting.origins],
        }
    return found


def _origin(origin: Origin) -> dict[str, Any]:
    match origin:
        case Written(path):
            return {"spec": [*path]}
        case Derived(scope, key):
            return {"setting": f"{scope}/{key}"}
        case Parameter(path, value):
            return {"parameter": [*path], "value": value}
        case Constant(name, value):
            return {"constant": name, "value": value}
        case Default(name, version):
            return {"default": name, "celery": version}
    raise AssertionError(origin)
