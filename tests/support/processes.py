"""Processes that tests start: waited for with a deadline, stopped by signal, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen

POLL_SECONDS = 0.05
LOG_TAIL_CHARACTERS = 4000


class EndedEarlyError(Exception):
    """A process ended while something was still expected of it."""


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stop_seconds: float = 30,
) -> Iterator[Popen[bytes]]:
    """A process in a process group of its own, writing to `log`; stopped when the block is left.

    The process alone gets SIGTERM, as a supervisor should do it; after `stop_seconds` what is left of
    its group is killed.
    """
    with log.open("ab") as output:
        process = Popen(
            [str(part) for part in command],
            env=None if environment is None else dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process, seconds=stop_seconds)


def stop(process: Popen[bytes], *, seconds: float = 30, number: int = signal.SIGTERM) -> int:
    """Signal a process of `running`, wait for its end, kill what is left of its group; its exit status."""
    if process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def wait_until(
    predicate: Callable[[], bool],
    what: str,
    *,
    seconds: float = 90,
    process: Popen[bytes] | None = None,
    log: Path | None = None,
) -> None:
    """Poll until the predicate holds; fail at the deadline, or as soon as `process` has ended."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if process is not None and process.poll() is not None:
            message = f"exit status {process.returncode} before: {what}\n{tail(log)}"
            raise EndedEarlyError(message)
        if time.monotonic() > deadline:
            message = f"not within {seconds:g} s: {what}\n{tail(log)}"
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)


def tail(log: Path | None) -> str:
    """The end of a log file, for the message of a failure."""
    if log is None or not log.exists():
        return ""
    return log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]
