"""What guards count, in one place, for telemetry.

If a worker has metrics, a process of its pool sends what it counts to the main process
through a pipe. Counts that do not fit into the pipe are dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, NamedTuple

_PIPE_BYTES = 1 << 20
_MOST_IN_A_LINE = 4096
"""A pipe takes so many bytes whole."""


class Count(NamedTuple):
    """A counter, its labels, and its value in this worker."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


_values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
_lock = Lock()
_pipe: dict[str, Any] = {"owner": None, "rest": b""}


def share() -> None:
    """Collect what the processes of this worker count; they begin later."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    with suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415 - publishers may run where there is none

        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    _pipe.update(owner=os.getpid(), reads=reads, writes=writes, rest=b"")


def add(name: str, amount: float = 1, **labels: str) -> None:
    """Count something."""
    key = name, tuple(sorted(labels.items()))
    if _pipe["owner"] in (None, os.getpid()):
        with _lock:
            _values[key] = _values.get(key, 0) + amount
        return
    line = json.dumps([*key, amount]).encode() + b"\n"
    if len(line) <= _MOST_IN_A_LINE:
        with suppress(OSError):
            os.write(_pipe["writes"], line)


def read() -> Iterator[Count]:
    """All counts of this worker so far."""
    with _lock:
        _drain()
        found = dict(_values)
    for (name, labels), value in found.items():
        yield Count(name, labels, value)


def drain() -> None:
    """Take what the processes of this worker have counted out of the pipe."""
    with _lock:
        _drain()


def _drain() -> None:
    if _pipe["owner"] != os.getpid():
        return
    with suppress(BlockingIOError):
        while True:
            text = _pipe["rest"] + os.read(_pipe["reads"], _PIPE_BYTES)
            whole, _, _pipe["rest"] = text.rpartition(b"\n")
            for line in whole.splitlines():
                name, labels, amount = json.loads(line)
                key = name, tuple((label, value) for label, value in labels)
                _values[key] = _values.get(key, 0) + amount
