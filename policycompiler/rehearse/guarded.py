"""Runs in the processes of a rehearsal with guards: shortens their times, and gives them something to guard.

It is copied beside the compiled settings, and imports the standard library only. Its messages alone meet the
guards: other probes have no arguments, so a guard would not find its key.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

PREFIX = "guard-"
"""How the identifiers of its messages begin."""
OUTAGE = "outage"
"""While a file with this name is in the folder, no dependency answers."""
RUN_SECONDS = 0.4
"""How long an answer takes."""
RETRY_SECONDS = 0.5
_MOST: Mapping[str, float] = {
    "failures": 5,
    "open_for": 2.0,
    "lease": 3.0,
    "longest": 3.0,
    "store_seconds": 1.0,
}
_LEAST: Mapping[str, float] = {"rate": 10.0, "within": 10.0}


def shortened(name: str, value: float) -> float:
    """The number of a guard as a rehearsal has it: what takes minutes must fit into seconds."""
    return max(_LEAST.get(name, 0.0), min(_MOST.get(name, value), value))


def prepare(guarded: Any, *, real: bool) -> None:
    """Change the guards of the compiled settings. `real`: the application itself is there."""
    told = guarded.told
    guarded.told = told._replace(
        tasks={name: _of_task(each, real=real) for name, each in told.tasks.items()},
        patterns={name: _of_task(each, real=real) for name, each in told.patterns.items()},
        dependencies={name: _dependency(each) for name, each in told.dependencies.items()},
        parking=_shorter(told.parking, "longest", "store_seconds"),
    )
    if told.bounds:
        # More is sent at once than a queue may hold.
        guarded.route.__self__.bounds = {}
    effects, annotate = guarded.effects, guarded.annotate

    def brief(name: str, told: Any) -> Any:
        found = effects(name, told)
        if found is not None:
            # Not for the hard limit of a message: no run here is long.
            found.lease_seconds = lambda _: told.lease
        return found

    guarded.effects = brief
    guarded.annotate = lambda task: {key: _for_probes(each) for key, each in annotate(task).items()}


def run(task: Any, note: Callable[..., None]) -> None:
    """What a guarded task does: call what may be down, then have its effect."""
    identifier = task.request.id
    if os.path.exists(OUTAGE):
        note(event="unanswered", id=identifier, task=task.name)
        down = ConnectionError("an outage of the rehearsal")
        if getattr(task, "autoretry_for", ()):
            raise task.retry(exc=down, countdown=RETRY_SECONDS)
        raise down
    note(event="answered", id=identifier, task=task.name)
    time.sleep(RUN_SECONDS)
    note(event="effect", id=identifier, task=task.name)


def _for_probes(guard: Any) -> Any:
    """A method with a guard for messages of the rehearsal, and without for others."""
    original = guard.guards_original

    def call(task: Any, *args: Any, **kwargs: Any) -> Any:
        mine = str(task.request.id).startswith(PREFIX)
        return (guard if mine else original)(task, *args, **kwargs)

    call.guards_original = original  # type: ignore[attr-defined]
    return call


def _shorter(told: Any, *names: str) -> Any:
    values = {name: getattr(told, name) for name in names}
    return told._replace(**{name: shortened(name, value) for name, value in values.items() if value})


def _of_task(told: Any, *, real: bool) -> Any:
    # A stand-in has not the modules of the application.
    failures = {
        name: (*(told.failures.get(name, ()) if real else ()), "ConnectionError") for name in told.calls
    }
    return _shorter(told, "lease")._replace(failures=failures)


def _dependency(told: Any) -> Any:
    breaker = told.breaker and _shorter(told.breaker, "failures", "within", "open_for")
    return _shorter(told, "rate")._replace(breaker=breaker)
