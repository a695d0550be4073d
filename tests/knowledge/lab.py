"""One app under observation: a producer in the test, workers and beats beside it, and what they did."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from subprocess import CompletedProcess, Popen

import witness
from celery import Celery
from celery.result import AsyncResult
from knowledge.app import make
from kombu import pools
from places import SUPPORT, TESTS
from processes import running, wait_until

CELERY = (sys.executable, "-m", "celery", "--app", "knowledge.app")
NODES = count(1)
# Nothing here takes ten seconds on a machine that does nothing else.
DEADLINE_SECONDS = 60
# Mingle waits a second at every start; nothing here needs either.
QUIET = ("--without-gossip", "--without-mingle")

OpenLab = Callable[..., "Lab"]


@dataclass(frozen=True)
class Lab:
    """An app, its settings, and the folder in which its processes leave logs and records."""

    app: Celery
    folder: Path
    _processes: ExitStack
    _numbers: Iterator[int]

    def send(self, task: str, *args: object, **options: object) -> AsyncResult:
        """Send as a producer that has the task registered."""
        return self.app.tasks[task].apply_async(args, **options)

    def stranger(self) -> Celery:
        """A producer that has the same settings and none of the tasks."""
        app = Celery("stranger", set_as_current=False)
        app.config_from_object(pickle.loads((self.folder / "settings").read_bytes()))
        return app

    def worker(
        self, *flags: str, pool: str = "prefork", slots: int = 1, environment: Mapping[str, str] | None = None
    ) -> Popen[bytes]:
        """Start a worker and wait until it takes messages."""
        earlier = len(self.events("ready"))
        # A node name of its own: on RabbitMQ a killed worker's may stay taken for a moment.
        name = ("--hostname", f"node{next(NODES)}@%h")
        words = (*name, "--pool", pool, "--concurrency", str(slots), *QUIET, *flags)
        process, log = self._start("worker", words, environment)
        wait_until(
            lambda: len(self.events("ready")) > earlier,
            "the worker is ready",
            seconds=DEADLINE_SECONDS,
            process=process,
            log=log,
        )
        return process

    def beat(self) -> Popen[bytes]:
        """Start beat, which keeps its state below the folder."""
        return self._start("beat", ("--schedule", str(self.folder / "schedule"), "--pidfile="))[0]

    def events(self, event: str, task: str | None = None) -> list[dict]:
        """What workers recorded so far: of one kind, and of one task where that is given."""
        return [
            found
            for found in witness.events(self.folder / "witness")
            if found["event"] == event and task in (None, found["task"])
        ]

    def wait_for(
        self, event: str, task: str | None = None, *, times: int = 1, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Wait until something was recorded so often."""
        wait_until(
            lambda: len(self.events(event, task)) >= times, f"{times} x {event} of {task}", seconds=seconds
        )

    def logs(self) -> str:
        """All that the processes said so far."""
        return "".join(log.read_text() for log in sorted(self.folder.glob("*.log")))

    def command(self, *words: str) -> CompletedProcess[str]:
        """Run a command of Celery's to its end."""
        return subprocess.run(
            (*CELERY, *words),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def _start(
        self, command: str, words: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> tuple[Popen[bytes], Path]:
        log = self.folder / f"{command}-{next(self._numbers)}.log"
        process = running(
            (*CELERY, command, *words),
            log=log,
            folder=self.folder,
            stop_seconds=0,
            environment={**self._environment(), **(environment or {})},
        )
        return self._processes.enter_context(process), log

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{SUPPORT}{os.pathsep}{TESTS}",
            "SETTINGS": str(self.folder / "settings"),
            "WITNESS": str(self.folder / "witness"),
        }


@contextmanager
def open_lab(folder: Path, settings: Mapping[str, object]) -> Iterator[Lab]:
    """A lab whose processes are killed when the block is left."""
    folder.mkdir()
    (folder / "settings").write_bytes(pickle.dumps(dict(settings)))
    with ExitStack() as processes:
        lab = Lab(make(settings), folder, processes, count(1))
        yield lab
    pools.reset()
    if "result_backend" in settings and hasattr(lab.app.backend, "result_consumer"):
        lab.app.backend.result_consumer.stop()
        lab.app.backend.client.close()
