"""What the module that is shipped beside `celeryconfig.py` is told about the metrics of a process."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.celeryconfig.tasks import exact_names, patterns
from policycompiler.emitters.python import INDENT, InOrder, laid_out
from policycompiler.plan import APP, Scope
from policycompiler.plan.fingerprint import fingerprint


def told(reading: Reading) -> list[tuple[str, Raw]]:
    """The arguments of `observe` by name; none if processes do not measure themselves."""
    return [
        (name, Raw(laid_out(value, indent=INDENT, before=len(name) + 8, after=1)))
        for name, value in _told(reading)
    ]


def _told(reading: Reading) -> list[tuple[str, object]]:
    bind = reading.get(APP, "telemetry_bind")
    if bind is None:
        return []
    keep = [scope.name for scope in reading.scopes("queue") if reading.find(scope, "dead_letter_queue")]
    return [
        ("service", reading.text(APP, "service")),
        ("fingerprint", fingerprint(reading)),
        ("bind", bind),
        ("wait_bounds", _tuple(reading, "telemetry_wait_buckets")),
        ("run_bounds", _tuple(reading, "telemetry_run_buckets")),
        ("payload_bounds", InOrder(_payload_bounds(reading))),
        ("dead_letters", tuple(keep)),
    ]


def _tuple(reading: Reading, key: str) -> tuple[object, ...]:
    bounds = reading.value(APP, key)
    assert isinstance(bounds, list)
    return tuple(bounds)


def _payload_bounds(reading: Reading) -> Iterator[tuple[str, object]]:
    """Exact names before patterns; a task without a bound is there only if it hides from a pattern."""
    bounded = [(name, bound) for name, scope in patterns(reading) if (bound := _bytes(reading, scope))]
    for name, scope in exact_names(reading):
        bound = _bytes(reading, scope)
        if bound or any(fnmatchcase(name, pattern) for pattern, _ in bounded):
            yield name, bound
    yield from bounded


def _bytes(reading: Reading, scope: Scope) -> int | None:
    found = reading.number_if_any(scope, "payload_bytes")
    return None if found is None else int(found)
