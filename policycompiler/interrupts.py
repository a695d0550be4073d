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
"""As in shells: 128 plus the number of the signal."""


def end_at_once() -> None:
    """Let an interrupt end the process immediately: during imports, and after all output is written.

    It does not raise: an exception in the middle of an import can be swallowed or replaced.
    """
    signal.signal(signal.SIGINT, lambda *_: end())


def raise_once() -> None:
    """Let the first interrupt raise KeyboardInterrupt, so that started work is cleaned up."""
    signal.signal(signal.SIGINT, _once)


def _once(*_: object) -> None:
    end_at_once()
    raise KeyboardInterrupt


def importing(load: Callable[[], T]) -> T:
    """The result of `load`, which imports; meanwhile an interrupt ends the process instead of raising."""
    # Under Celery or another program, interrupts are not ours.
    if signal.getsignal(signal.SIGINT) is not _once:
        return load()
    end_at_once()
    try:
        return load()
    finally:
        raise_once()


def end() -> NoReturn:
    """End the process like an interrupt."""
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(EXIT_INTERRUPTED)
