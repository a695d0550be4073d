"""How values read: durations and sizes in units for people, everything else as in a YAML flow style."""

from __future__ import annotations

from policycompiler.plan import Scope, Value, vocabulary
from policycompiler.plan.vocabulary import Unit
from policycompiler.quantities import duration, number, size
from policycompiler.report.text import masked

_BYTES = {Unit.BYTES: 1, Unit.KIB: 2**10}
_MILLISECONDS = frozenset(
    f"arguments.{name}" for name in ("x-consumer-timeout", "x-expires", "x-message-ttl")
)
"""Queue arguments that count milliseconds."""
_SECONDS = frozenset({"countdown", "expires"})
"""Options of a schedule that count seconds."""


def value_text(scope: Scope, key: str, value: Value) -> str:
    """The value of a setting on one line, for people: `2 h 24 min`, `1.5 GiB`, `true`, `[a, b]`."""
    if scope.kind == "schedule" and key == "options" and isinstance(value, dict):
        return flow({name: _option(name, each) for name, each in value.items()})
    unit = _unit(scope, key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return flow(value)
    if key in _MILLISECONDS:
        return duration(value / 1000)
    if unit is None:
        return flow(value)
    if unit is Unit.SECONDS:
        return duration(value)
    return size(int(value * _BYTES[unit])) if unit in _BYTES else f"{value:.3g} {unit}"


def _option(name: str, value: Value) -> Value:
    counts = name in _SECONDS and isinstance(value, int | float) and not isinstance(value, bool)
    return duration(value) if counts and isinstance(value, int | float) else value


def as_emitted(scope: Scope, key: str, value: Value) -> str:
    """The number of a setting as files have it, with its unit: `8640 s`; empty where there is no unit."""
    unit = _unit(scope, key)
    counts = unit is not None and isinstance(value, int | float) and not isinstance(value, bool)
    return f"{number(value)} {unit}" if counts and isinstance(value, int | float) else ""


def _unit(scope: Scope, key: str) -> Unit | None:
    declared = vocabulary.find(scope.kind, key)
    return None if declared is None else declared.unit


def flow(value: Value) -> str:
    """Plain data on one line, in a YAML flow style; passwords in URLs are masked."""
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
