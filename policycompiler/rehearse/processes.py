"""Processes of a rehearsal: each in a group of its own, ended whatever happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import dropwhile
from pathlib import Path
from subprocess import Popen

_POLL_SECONDS = 0.05
_TEMPORARY = "tmp"
_SAID_LINES = 3
_TRACEBACK = "Traceback (most recent call last):"
_BANNER = re.compile(r"\s*-[-* ]{3,}|\s*\.(>\s|\s\w)|\s*\[(config|queues|tasks)\]\s*$")
"""What a worker or a beat prints at its start about itself."""
_KEEPER = Path(__file__).with_name("keeper.py")


class Stage:
    """A temporary folder, the processes that run in it, and the keeper that outlives this process.

    All that happens on it shares a time limit.
    """

    def __init__(self, folder: Path, keeper: Popen[bytes], seconds: float) -> None:
        self.folder = folder
        self._end = time.monotonic() + seconds
        self._keeper = keeper
        self.processes: dict[str, Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Popen[bytes]:
        """Start a process that logs to `NAME.log` in the folder. Raises `OSError`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = Popen(  # noqa: S603 - compiled commands
                command,
                cwd=self.folder,
                # What a killed process leaves is in the folder too.
                env={**environment, "TMPDIR": str(self.folder / _TEMPORARY)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{process.pid}\n".encode())
        self._keeper.stdin.flush()
        self.processes[name] = process
        return process

    def stop(self, names: Sequence[str], seconds: float) -> list[str]:
        """Stop processes with SIGTERM, all at once; the names of those that did not end in time.

        It takes as long as that, or the rest of the time.
        """
        ending = [self.processes[name] for name in names]
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until(lambda: all(each.poll() is not None for each in ending), self.allowed(seconds))
        return [name for name in names if self.processes[name].poll() is None]

    def kill(self, name: str) -> None:
        """Kill a process and those that it has started."""
        process = self.processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def allowed(self, seconds: float, *, reserved: float = 0) -> float:
        """So many seconds, or what is left of the time without those reserved for later; not below 0."""
        return max(0.0, min(seconds, self._end - time.monotonic() - reserved))

    def log(self, name: str) -> str:
        """What a process said at last, as one line: the last exception, else the last lines."""
        return _cause((self.folder / f"{name}.log").read_text("utf-8", errors="replace"))


def _cause(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip() and not _BANNER.match(line)]
    for number in reversed([number for number, line in enumerate(lines) if _TRACEBACK in line]):
        # The lines of its source may be anything, and are no cause.
        if said := list(dropwhile(lambda line: line[0].isspace(), lines[number + 1 :])):
            return _one_line(said[:_SAID_LINES])
    return _one_line(lines[-_SAID_LINES:]) or "it printed nothing"


def _one_line(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; whether it did before the time was over."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@contextmanager
def stage(seconds: float) -> Iterator[Stage]:
    """A stage for so long at most. It is empty afterwards: no process, no folder."""
    folder = Path(tempfile.mkdtemp(prefix="policycompiler-rehearsal-"))
    keeper = Popen(  # noqa: S603 - a program of this package
        [sys.executable, str(_KEEPER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    (folder / _TEMPORARY).mkdir()
    found = Stage(folder, keeper, seconds)
    try:
        yield found
    finally:
        for name in found.processes:
            found.kill(name)
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()
