"""Runs whose process cannot say how they ended: killed, lost, or past a hard limit.

The main process of a worker sees them. It frees their claims, and tells the breakers.
"""

from __future__ import annotations

from logging import getLogger
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[import-untyped]
from billiard.exceptions import (  # type: ignore[import-untyped]
    Terminated,
    WorkerLostError,
)
from celery.exceptions import TimeLimitExceeded
from kombu.utils.imports import symbol_by_name

_GONE = (WorkerLostError, TimeLimitExceeded, SystemExit, KeyboardInterrupt)


def watched(guarded: Any, app: Any) -> None:
    """Let the requests of guarded tasks see the end of such runs."""
    for name, task in app.tasks.items():
        told = guarded.of(name)
        if told is None:
            continue
        breakers = [guarded.breakers[x] for x in told.calls if x in guarded.breakers]
        effects = guarded.effects(name, told)
        if breakers or effects:
            base = symbol_by_name(task.Request)  # type: ignore[no-untyped-call]
            task.Request = _watching(base, effects, breakers)


def _watching(base: Any, effects: Any, breakers: Any) -> Any:
    class Request(base):  # type: ignore[misc]
        """The request of a guarded task."""

        def on_timeout(self, soft: Any, timeout: Any) -> Any:
            if not soft:
                _lost(self, effects, breakers, "failed")
            return super().on_timeout(soft, timeout)

        def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
            error = exc_info.exception
            if isinstance(error, ExceptionWithTraceback):
                error = error.exc
            # Before the message goes back to its queue.
            if isinstance(error, Terminated):
                _lost(self, effects, breakers, "none")
            elif isinstance(error, _GONE):
                _lost(self, effects, breakers, "failed")
            return super().on_failure(exc_info, *args, **options)

    return Request


def _lost(request: Any, effects: Any, breakers: Any, outcome: str) -> None:
    """A hard limit is seen twice."""
    if getattr(request, "_guards_saw", False):
        return
    request._guards_saw = True
    try:
        for breaker in breakers:
            breaker.report(request.id, "", outcome)
        if effects is not None:
            given = request.args, request.kwargs
            effects.free(effects.named(request.task, *given)[0], request)
    except Exception as error:  # noqa: BLE001 - the request must go on
        message = "guards: the claim of a lost run of task %s is not freed (%s)"
        getLogger(__name__).warning(message, request.task.name, type(error).__name__)
