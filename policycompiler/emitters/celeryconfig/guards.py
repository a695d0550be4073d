"""What the package that is shipped beside `celeryconfig.py` is told about guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.celeryconfig.tasks import exact_names, patterns
from policycompiler.emitters.python import INDENT, InOrder, laid_out
from policycompiler.plan import APP, Scope

_OF_DEPENDENCIES = {
    "rate": "rate_per_second",
    "burst": "burst",
    "hold": "hold_seconds",
    "processes": "processes",
}
_OF_KEYS = {
    "key": "idempotency_key",
    "keep": "idempotency_keep_seconds",
    "lease": "idempotency_lease_seconds",
    "heartbeat": "idempotency_heartbeat",
    "duplicate": "idempotency_duplicate",
    "on_store_error": "idempotency_on_store_error",
}
_OF_BREAKERS = {
    "failures": "failures",
    "within": "within_seconds",
    "open_for": "open_for_seconds",
    "probes": "probes",
}


def told(reading: Reading) -> list[tuple[str, Raw]]:
    """The entries of the mapping by name; none if nothing is guarded."""
    exact, wild = exact_names(reading), patterns(reading)
    entries = {
        "dependencies": InOrder(
            (scope.name, _dependency(reading, scope)) for scope in reading.scopes("dependency")
        ),
        **_by_name(("tasks", "patterns"), _tasks(reading, exact), _tasks(reading, wild), InOrder()),
        **_by_name(
            ("payloads", "payload_patterns"), _payloads(reading, exact), _payloads(reading, wild), None
        ),
        "bounds": InOrder(_bounds(reading)),
    }
    if not any(entries.values()):
        return []
    whole: dict[str, object] = {
        "service": reading.text(APP, "service"),
        "store": reading.get(APP, "guard_store_variable"),
    }
    parking = reading.get(APP, "parking")
    if isinstance(parking, dict):
        whole["parking"] = {
            "longest": parking["longest_seconds"],
            "store_seconds": parking["store_seconds"],
            "whole_seconds": reading.broker.declarations,
        }
    whole |= {name: value for name, value in entries.items() if value}
    return [
        (name, Raw(laid_out(value, indent=INDENT, before=len(name) + 8, after=1)))
        for name, value in whole.items()
    ]


def refuses_messages(told_entries: list[tuple[str, Raw]]) -> bool:
    """Whether routes need a router that refuses messages of a full queue."""
    return any(name == "bounds" for name, _ in told_entries)


def _given(reading: Reading, scope: Scope, keys: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    for name, key in keys.items():
        if (value := reading.get(scope, key)) is not None:
            yield name, value


def _dependency(reading: Reading, scope: Scope) -> InOrder:
    found = InOrder(_given(reading, scope, _OF_DEPENDENCIES))
    found["hard"] = reading.text(scope, "on_store_error") == "wait"
    breaker = reading.get(scope, "breaker")
    if isinstance(breaker, dict):
        found["breaker"] = {name: breaker[key] for name, key in _OF_BREAKERS.items()}
        found["pauses"] = reading.texts(scope, "pauses")
    return found


def _by_name(
    parts: tuple[str, str],
    exact: Iterable[tuple[str, object]],
    wild: Iterable[tuple[str, object]],
    nothing: object,
) -> dict[str, InOrder]:
    """The guards of names and of patterns.

    An entry without guards is `nothing`. It is told if a later pattern would give its tasks guards.
    """
    later: list[str] = []
    found: list[tuple[str, object]] = []
    for pattern, guards in reversed([*wild]):
        if guards or later:
            found.append((pattern, guards or nothing))
        if guards:
            later.append(pattern)
    named = [
        (name, guards or nothing)
        for name, guards in exact
        if guards or any(fnmatchcase(name, pattern) for pattern in later)
    ]
    return dict(zip(parts, (InOrder(named), InOrder(reversed(found))), strict=True))


def _tasks(reading: Reading, tasks: list[tuple[str, Scope]]) -> Iterator[tuple[str, InOrder]]:
    for name, scope in tasks:
        found = InOrder()
        if reading.find(scope, "calls") is not None:
            found["calls"] = reading.texts(scope, "calls")
            failures = reading.get(scope, "guard_failures")
            if failures is not None:
                found["failures"] = failures
        found.update(_given(reading, scope, _OF_KEYS))
        if "key" in found and reading.find(scope, "renamed_from"):
            found["records"] = _records(reading, scope)
        yield name, found


def _records(reading: Reading, scope: Scope) -> list[str]:
    """The names that records may begin with; first the one that all workers know."""
    first = reading.get(scope, "sent_as") or scope.name
    names = dict.fromkeys((str(first), scope.name, *reading.texts(scope, "renamed_from")))
    return [*names]


def _payloads(reading: Reading, tasks: list[tuple[str, Scope]]) -> Iterator[tuple[str, int | None]]:
    for name, scope in tasks:
        most = reading.number_if_any(scope, "payload_enforced_bytes")
        yield name, None if most is None else int(most)


def _bounds(reading: Reading) -> Iterator[tuple[str, object]]:
    for scope in reading.scopes("queue"):
        if (bound := reading.get(scope, "bound_messages")) is not None:
            yield scope.name, bound
