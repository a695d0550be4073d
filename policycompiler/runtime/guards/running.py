"""The guarded task that runs in this thread, greenlet or process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_request: ContextVar[Any] = ContextVar("celeryconfig_request", default=None)
_key: ContextVar[str | None] = ContextVar("celeryconfig_key", default=None)
_probes: ContextVar[tuple[Any, ...]] = ContextVar("celeryconfig_probes", default=())


def current_key() -> str | None:
    """The idempotency key of the running task; None outside of one.

    The same for each run of the same effect, other than those of other tasks. It is
    made of the service, the name of the task, and a hash of the declared key.
    """
    return _key.get()


def is_running(request: Any) -> bool:
    """Whether a guarded task of this request runs already, and calls itself.

    Celery gives a call in a call a copy of the request.
    """
    outer = _request.get()
    return outer is request or (outer is not None and outer.id == request.id)


@contextmanager
def running(request: Any) -> Iterator[None]:
    """The request of the guarded task that runs."""
    before = _request.set(request)
    try:
        yield
    finally:
        _request.reset(before)


def probes() -> tuple[Any, ...]:
    """The calls with which the running task tests dependencies."""
    return _probes.get()


@contextmanager
def entered(key: str | None, tests: tuple[Any, ...]) -> Iterator[None]:
    """The key of the guarded task that runs, and the calls that are probes."""
    keys, before = _key.set(key), _probes.set(tests)
    try:
        yield
    finally:
        _key.reset(keys)
        _probes.reset(before)
