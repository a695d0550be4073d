"""How values read: durations with units, everything else as YAML would write it on one line."""

from __future__ import annotations

from policycompiler.plan import Value
from policycompiler.report.text import masked

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
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


def duration(seconds: float) -> str:
    """Seconds for people: `0.3 s`, `1 min 30 s`, `2 h 24 min`; exact to a thousandth of a second."""
    if seconds < 1:
        return f"{seconds:.3g} s"
    rest: float = round(seconds, 3)
    parts = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{int(count)} {unit}")
    rest = round(rest, 3)
    if rest or not parts:
        parts.append(f"{number(rest)} s")
    return " ".join(parts)


def number(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else str(value)


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
