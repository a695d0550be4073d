"""What starts a worker and starts it again: a real supervisord, and a container-like PID 1."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from processes import running, wait_until
from tools import needs

MANAGERS = ("supervisor", "container")


class Manager:
    """The processes of one worker as a manager keeps them."""

    def __init__(self, root: int, log: Path) -> None:
        """`root` is the process below which the worker runs."""
        self.root, self.log = root, log

    def main(self) -> int:
        """Celery's main process, once there is one: the first below the manager that is `celery worker`."""
        found: list[int] = []

        def started() -> bool:
            found[:] = [each.pid for each in _below(self.root) if _is_worker(each)]
            return bool(found)

        wait_until(started, "a worker runs", seconds=60, log=self.log)
        return found[0]

    def signal(self, number: int) -> None:
        """Send a signal to Celery's main process alone."""
        os.kill(self.main(), number)

    def kill(self) -> None:
        """Kill Celery's main process, and wait until another runs."""
        self._replaced(lambda: self.signal(signal.SIGKILL))

    def restart(self) -> None:
        """Stop as the manager does, wait for the end, and start again."""
        raise NotImplementedError

    def _replaced(self, act) -> None:
        before = self.main()
        act()
        wait_until(lambda: not psutil.pid_exists(before), "the worker has ended", seconds=60, log=self.log)
        wait_until(lambda: self.main() != before, "another worker runs", seconds=60, log=self.log)


def _below(root: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(root).children(recursive=True)
    return []


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        words = process.cmdline()
        return "worker" in words and any(word.endswith("celery") for word in words)
    return False


class Supervised(Manager):
    """Below supervisord."""

    def __init__(self, root: int, log: Path, socket: Path, program: str) -> None:
        super().__init__(root, log)
        self._socket, self._program = socket, program

    def restart(self) -> None:
        self._replaced(lambda: self._control("restart"))

    def _control(self, word: str) -> None:
        command = [needs("supervisorctl"), "-s", f"unix://{self._socket}", word, self._program]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


class Contained(Manager):
    """PID 1 of a PID namespace of its own, started again by a loop as Docker does."""

    def restart(self) -> None:
        self._replaced(lambda: self.signal(signal.SIGTERM))


@contextmanager
def managed(
    manager: str, build: Path, worker: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[Manager]:
    """A worker of a compiled folder under one of `MANAGERS`."""
    with _MAKERS[manager](build, worker, folder, environment) as found:
        found.main()
        yield found


@contextmanager
def _supervised(build: Path, worker: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Manager]:
    (conf,) = (build / "supervisor").glob("*.conf")
    main, log = folder / "main.conf", folder / "supervisord.log"
    main.write_text(
        f"[unix_http_server]\nfile={folder}/s\n"
        f"[supervisord]\nnodaemon=true\nlogfile={log}\npidfile={folder}/pid\n"
        f"childlogdir={folder}\ndirectory={folder}\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[include]\nfiles={conf}\n",
        "utf-8",
    )
    command = [needs("supervisord"), "--nodaemon", "--silent", "--configuration", main]
    with running(command, log=log, environment=environment, folder=folder) as process:
        service = conf.stem
        yield Supervised(process.pid, log, folder / "s", f"{service}:{service}-{worker}_1")


@contextmanager
def _contained(build: Path, worker: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Manager]:
    log = folder / "container.log"
    # The shell stands for the container runtime; each round is a container with a PID 1 of its own.
    one = f"{needs('unshare')} --pid --fork --kill-child --mount-proc sh {build}/launch/{worker}.sh"
    with running(
        ["sh", "-c", f"trap 'exit 0' TERM; while :; do {one}; sleep 0.2; done"],
        log=log,
        environment=environment,
        folder=folder,
        stop_seconds=1,
    ) as process:
        yield Contained(process.pid, log)


_MAKERS = {"supervisor": _supervised, "container": _contained}


@contextmanager
def in_background(work) -> Iterator[threading.Event]:
    """Call `work(stop)` in a thread, until the block is left and `stop` is set; errors are raised then."""
    stop, failed = threading.Event(), []

    def run() -> None:
        try:
            work(stop)
        except Exception as error:  # noqa: BLE001 - it is raised where the block ends
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(120)
    assert not thread.is_alive()
    if failed:
        raise failed[0]
