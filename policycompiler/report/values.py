"""How values read: durations with units, everything else as YAML would write it on one line."""

from __future__ import annotations

from policycompiler.plan import Value
from policycompiler.quantities import number
from policycompiler.report.text import masked

_CELERY_DURATIONS = frozenset(
    {
        "default_retry_delay",
        "expires",
        "result_expires",
        "retry_backoff_max",
        "soft_time_limit",
        "time_limit",
        "visibility_timeout",
    }
)


def is_duration(key: str) -> bool:
    """Whether a setting counts seconds, by its name."""
    name = key.rpartition(".")[2]
    return name.endswith("_seconds") or name in _CELERY_DURATIONS


def value_text(key: str, value: Value) -> str:
    """The value of a setting on one line: `8640 s`, `true`, `[a, b]`."""
    if is_duration(key) and isinstance(value, int | float) and not isinstance(value, bool):
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
