"""How values read: durations with units, everything else as YAML would write it on one line."""

from __future__ import annotations

from policycompiler.plan import Scope, Value, vocabulary
from policycompiler.plan.vocabulary import Unit
from policycompiler.quantities import number
from policycompiler.report.text import masked


def is_duration(scope: Scope, key: str) -> bool:
    """Whether a setting counts seconds."""
    declared = vocabulary.find(scope.kind, key)
    return declared is not None and declared.unit is Unit.SECONDS


def value_text(scope: Scope, key: str, value: Value) -> str:
    """The value of a setting on one line: `8640 s`, `true`, `[a, b]`."""
    if is_duration(scope, key) and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{number(value)} s"
    return flow(value)


def flow(value: Value) -> str:
    """Plain data on one line, in the way of a YAML flow style; passwords in URLs are masked."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return masked(value) or '""'
        case list():
            return "[" + ", ".join(flow(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    return str(value)


def masked_data(value: Value) -> Value:
    """The same data with the passwords in URLs masked."""
    match value:
        case str():
            return masked(value)
        case list():
            return [masked_data(item) for item in value]
        case dict():
            return {key: masked_data(item) for key, item in value.items()}
    return value
