"""Processes of a rehearsal: each in a group of its own, ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen

_POLL_SECONDS = 0.05
_KEEPER = Path(__file__).with_name("keeper.py")


class Stage:
    """A temporary folder, the processes that run in it, and the keeper that outlives this process."""

    def __init__(self, folder: Path, keeper: Popen[bytes]) -> None:
        self.folder = folder
        self._keeper = keeper
        self.processes: dict[str, Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Popen[bytes]:
        """Start a process that logs to `NAME.log` in the folder. Raises `OSError`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = Popen(  # noqa: S603 - compiled commands
                command,
                cwd=self.folder,
                env=dict(environment),
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
        """Stop processes with SIGTERM, all at once; the names of those that did not end in time."""
        ending = [self.processes[name] for name in names]
        for process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until(lambda: all(each.poll() is not None for each in ending), seconds)
        return [name for name in names if self.processes[name].poll() is None]

    def log(self, name: str) -> str:
        """The last lines of the log of a process, as one."""
        text = (self.folder / f"{name}.log").read_text("utf-8", errors="replace")
        return " ".join(" ".join(text.strip().splitlines()[-3:]).split())


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; whether it did before the time was over."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that is empty afterwards: no process, no folder."""
    folder = Path(tempfile.mkdtemp(prefix="policycompiler-rehearsal-"))
    keeper = Popen(  # noqa: S603 - a program of this package
        [sys.executable, str(_KEEPER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    found = Stage(folder, keeper)
    try:
        yield found
    finally:
        for process in found.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()
