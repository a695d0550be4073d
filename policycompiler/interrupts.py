"""How an interrupt (Ctrl-C, SIGINT) ends the program: with 130 and no traceback, at any moment."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeVar

    T = TypeVar("T")

EXIT_INTERRUPTED = 130
"""As shells have it: 128 and the number of the signal."""


def end_at_once() -> None:
    """From now on an interrupt ends the process where it is: for imports, and when all is written.

    It is no exception: raised in the middle of an import, one can be swallowed or become another.
    """
    signal.signal(signal.SIGINT, lambda *_: end())


def raise_once() -> None:
    """From now on the first interrupt is a KeyboardInterrupt, so that what has begun is cleaned up."""
    signal.signal(signal.SIGINT, _once)


def _once(*_: object) -> None:
    end_at_once()
    raise KeyboardInterrupt


def importing(load: Callable[[], T]) -> T:
    """What `load` gives, which imports: meanwhile an interrupt ends the process, where it would be raised."""
    # Below Celery, or called by another program, interrupts are not ours.
    if signal.getsignal(signal.SIGINT) is not _once:
        return load()
    end_at_once()
    try:
        return load()
    finally:
        raise_once()


def end() -> NoReturn:
    """End the process as an interrupt does."""
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(EXIT_INTERRUPTED)
