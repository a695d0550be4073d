"""One process of a fleet, and the version of the app that it runs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from places import SUPPORT, TESTS
from processes import running, stop

STOP_SECONDS = 30

Call = tuple[str, Mapping[str, object]]
"""A task and the options of its `apply_async`."""


class Version(NamedTuple):
    """A version of the app: the folder with its module `shop`, and what its producers send."""

    code: Path
    calls: Sequence[Call]


class Member:
    """A process of the fleet, running or not, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "log"
        self.output = folder / "output"
        self.code = folder / "code"
        self.process: Popen[bytes] | None = None
        self._running: AbstractContextManager[Popen[bytes]] | None = None

    def deploy(self, output: Path, code: Path) -> None:
        """What the next start, or a reload, will run."""
        for link, target in ((self.output, output), (self.code, code)):
            new = link.with_name("new")
            new.symlink_to(target)
            new.replace(link)

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start it from what was deployed."""
        python_path = os.pathsep.join(map(str, (self.output, self.code, SUPPORT, TESTS)))
        variables = {**environment, "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._running = running(command, log=self.log, environment=variables, folder=self.folder)
        self.process = self._running.__enter__()

    def reload(self) -> None:
        """SIGHUP: a worker finishes what it has begun, and runs itself again from what was deployed."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """SIGTERM, and its end: a worker finishes what it has begun."""
        if self._running is not None:
            stop(self.process)
            self._running.__exit__(None, None, None)
            self._running = None

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.process.poll() is not None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self.process.pid

    def times_ready(self) -> int:
        """How often a worker has said so."""
        return self.log.read_text(errors="replace").count(" ready.\n") if self.log.exists() else 0


def stop_together(members: Sequence[Member]) -> None:
    """Signal all, then wait for each."""
    for member in members:
        if member.process is not None and not member.ended():
            member.process.send_signal(signal.SIGTERM)
    for member in members:
        if member.process is not None:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(STOP_SECONDS)
        member.stop()
