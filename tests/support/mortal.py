"""Brokers that are killed and come back on the same port with their data, as a machine that restarts them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from kombu import Connection
from kombu.exceptions import OperationalError
from processes import running, wait_until
from servers import HOST, RABBITMQ, _rabbitmq_environment, _rabbitmq_program, free_port, redis_program
from servers import REDIS as PROGRAMS
from tools import needs

BROKERS = ("redis", *(f"rabbitmq {release}" for release in RABBITMQ))


class Mortal:
    """A broker; `kill` ends it with SIGKILL, `start` starts it again."""

    def __init__(
        self, url: str, command: list[str | Path], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.url, self._command, self._log, self._environment = url, command, log, environment
        self._stack = ExitStack()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        process = self._stack.enter_context(
            running(self._command, log=self._log, environment=self._environment, folder=self._log.parent)
        )
        self._pid = process.pid
        wait_until(self._answers, "the broker answers", seconds=120, process=process, log=self._log)

    def kill(self) -> None:
        """Kill it with all its processes, and wait for their end."""
        os.killpg(self._pid, signal.SIGKILL)
        self._stack.close()

    def ctl(self, *words: str) -> None:
        """Run a command of `rabbitmqctl`; `CalledProcessError` if it fails."""
        command = [
            *_rabbitmq_program("rabbitmqctl", RABBITMQ[0]),
            "-n",
            self._environment["RABBITMQ_NODENAME"],
        ]
        subprocess.run(
            [*command, *words], env=dict(self._environment), check=True, capture_output=True, timeout=60
        )

    def close(self) -> None:
        """Stop it for good."""
        self._stack.close()

    def _answers(self) -> bool:
        try:
            if self.url.startswith("redis"):
                with redis.Redis.from_url(self.url) as client:
                    return bool(client.ping())
            with Connection(self.url, connect_timeout=5) as connection:
                connection.ensure_connection(max_retries=1, timeout=5)
        except (OSError, redis.RedisError, OperationalError):
            return False
        return True


@contextmanager
def mortal(broker: str, folder: Path) -> Iterator[Mortal]:
    """One of `BROKERS`, running."""
    kind, _, release = broker.partition(" ")
    with _MAKERS[kind](folder, release) as found:
        found.start()
        try:
            yield found
        finally:
            found.close()


@contextmanager
def _redis(folder: Path, release: str) -> Iterator[Mortal]:
    del release
    port = free_port()
    kept = ["--save", "", "--appendonly", "yes", "--dir", str(folder)]
    command = [*redis_program(PROGRAMS[0]), "--bind", HOST, "--port", str(port), *kept]
    yield Mortal(f"redis://{HOST}:{port}/0", command, folder / "redis.log", dict(os.environ))


@contextmanager
def _rabbitmq(folder: Path, release: str) -> Iterator[Mortal]:
    port, epmd_port, log = free_port(), free_port(), folder / "rabbitmq.log"
    environment = _rabbitmq_environment(folder, port, epmd_port)
    command = _rabbitmq_program("rabbitmq-server", release)
    mapped = [needs("epmd")] if release == RABBITMQ[0] else [*command[:-1], "epmd"]
    with running([*mapped, "-address", HOST, "-port", str(epmd_port)], log=log, environment=environment):
        yield Mortal(f"amqp://guest:guest@{HOST}:{port}//", [*command], log, environment)


_MAKERS: dict[str, Callable] = {"redis": _redis, "rabbitmq": _rabbitmq}
