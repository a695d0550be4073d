"""What celeryconfig.py says about guards, with a type for each part."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import ceil
from typing import Any, NamedTuple


class Trip(NamedTuple):
    """When a circuit breaker opens, for how long, and how many calls then try."""

    failures: int
    within: float
    open_for: float
    probes: int = 1


class Dependency(NamedTuple):
    """What tasks call. `hard`: without the store, wait instead of a local share."""

    name: str
    rate: float | None = None
    burst: int = 1
    hold: float = 0.0
    processes: int = 1
    hard: bool = False
    breaker: Trip | None = None
    pauses: tuple[str, ...] = ()


class OfTask(NamedTuple):
    """The guards of a task, or of the tasks whose name matches a pattern.

    `records` are all names of a renamed task; new records begin with the first.
    """

    calls: tuple[str, ...] = ()
    failures: Mapping[str, tuple[str, ...]] = {}
    key: str | None = None
    keep: float = 604800.0
    lease: float = 130.0
    heartbeat: bool = False
    duplicate: str = "result"
    on_store_error: str = "wait"
    takeovers: int = 3
    records: tuple[str, ...] = ()


class Parking(NamedTuple):
    """How long a task may be parked. Some brokers delay by whole seconds only."""

    longest: float = 1800.0
    whole_seconds: bool = True
    store_seconds: float = 30.0

    def countdown(self, seconds: float) -> float:
        """The countdown of a park."""
        if self.whole_seconds:
            return max(1, min(ceil(seconds), int(self.longest)))
        return max(0.0, min(seconds, self.longest))


class Told(NamedTuple):
    """All that is said. A service has its own names in the store."""

    service: str
    store: str | None
    prefix: str
    dependencies: Mapping[str, Dependency]
    tasks: Mapping[str, OfTask]
    patterns: Mapping[str, OfTask]
    parking: Parking
    payloads: Mapping[str, int | None]
    payload_patterns: Mapping[str, int | None]
    bounds: Mapping[str, int]

    @property
    def names(self) -> str:
        """What all names of this service in the store begin with."""
        return f"{self.prefix}{self.service}:"


def told_of(declared: Mapping[str, Any]) -> Told:
    """The literal of celeryconfig.py, in which what is not declared is absent."""
    tasks, patterns = (
        {name: _task(each) for name, each in (declared.get(part) or {}).items()}
        for part in ("tasks", "patterns")
    )
    named = declared.get("dependencies") or {}
    return Told(
        service=declared["service"],
        store=declared.get("store"),
        prefix=declared.get("prefix") or "",
        dependencies={name: _dependency(name, each) for name, each in named.items()},
        tasks=tasks,
        patterns=patterns,
        parking=Parking(**(declared.get("parking") or {})),
        payloads=declared.get("payloads") or {},
        payload_patterns=declared.get("payload_patterns") or {},
        bounds=declared.get("bounds") or {},
    )


def named(name: str, exact: Mapping[str, Any], patterns: Mapping[str, Any]) -> Any:
    """What is said of a name: exact names before patterns, the first that matches.

    A pattern is about tasks of the application, not about those of Celery.
    """
    if name in exact or name.startswith("celery."):
        return exact.get(name)
    found = (each for pattern, each in patterns.items() if fnmatchcase(name, pattern))
    return next(found, None)


def _task(given: Mapping[str, Any]) -> OfTask:
    # A probe that is asked for twice would wait for itself.
    calls = tuple(dict.fromkeys(given.get("calls", ())))
    failures = {name: tuple(each) for name, each in given.get("failures", {}).items()}
    return OfTask(**{**given, "calls": calls, "failures": failures})


def _dependency(name: str, given: Mapping[str, Any]) -> Dependency:
    trip = given.get("breaker")
    parts = {
        "breaker": Trip(**trip) if trip else None,
        "pauses": tuple(given.get("pauses", ())),
    }
    return Dependency(name, **{**given, **parts})
