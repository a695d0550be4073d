"""`policycompiler wait` and `act` for a workload on a private broker, without any rollout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

from kombu import Connection
from kombu.simple import SimpleQueue
from places import SUPPORT, TESTS
from processes import running, wait_until
from rollout.brokers import Broker
from rollout.scenarios import code, compiled

LONGEST_SECONDS = 60
TOO_SLOW, TRIES = "the answer was not complete within", 5
"""A busy machine needs seconds to start a command of RabbitMQ."""
HEAD = """\
version: 1
service: shop
app: shop:app
owner: storefront
broker: {transport: %(transport)s, url: "${CELERY_BROKER_URL}"%(options)s}
defaults: {work: io, runtime: 100ms, rate: 1/s, result: ignore, latency: standard, idempotent: true}
"""
BODY = """\
tasks: {shop.mail: {queue: mail}, shop.other: {queue: mail}}
workers: {w: {queues: ['*'], pool: threads, concurrency: 2, options: {without_gossip: true, without_mingle: true}}}
"""


class Asked(NamedTuple):
    """A compiled workload in `folder`, and its broker."""

    folder: Path
    broker: Broker

    @property
    def environment(self) -> dict[str, str]:
        """Of commands and workers."""
        path = self.broker.environment.get("PATH", os.environ["PATH"])
        here = os.pathsep.join([str(Path(sys.executable).parent), path])
        return {**os.environ, **self.broker.environment, "PATH": here}

    def wait(self, *words: str, **variables: str) -> CompletedProcess[str]:
        """`policycompiler wait` for what may hold at once; it looks twice at most, unless the words say more."""
        for _ in range(TRIES):
            done = self.command("wait", "--timeout", "1s", "--interval", "1s", *words, **variables)
            if TOO_SLOW not in done.stdout + done.stderr:
                break
        return done

    def command(self, *words: str, **variables: str) -> CompletedProcess[str]:
        """A command in the folder above the output, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "policycompiler", *words],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )

    @contextmanager
    def queue(self, name: str = "mail", **options: object) -> Iterator[SimpleQueue]:
        """A queue of the broker, by such options of the transport."""
        with (
            Connection(self.broker.url, transport_options=options) as connection,
            connection.SimpleQueue(name) as queue,
        ):
            yield queue

    @contextmanager
    def worker(self, *, build: str = "build", variables: Mapping[str, str] | None = None) -> Iterator[None]:
        """The first process of the worker `w`, from the output."""
        (self.folder / "shop.py").write_text(code(["shop.mail", "shop.other"]), "utf-8")
        path = os.pathsep.join(map(str, (self.folder / build, self.folder, SUPPORT, TESTS)))
        log = self.folder / "worker.log"
        environment = {**self.environment, "PYTHONPATH": path, "INSTANCE": "1", **(variables or {})}
        launch = [self.folder / build / "launch" / "w.sh"]
        with running(launch, log=log, environment=environment, folder=self.folder) as process:
            wait_until(
                lambda: log.exists() and " ready.\n" in log.read_text(),
                "the worker is ready",
                seconds=LONGEST_SECONDS,
                process=process,
                log=log,
            )
            yield


def between(
    broker: Broker, folder: Path, bodies: tuple[str, str], options: tuple[str, str] = ("", "")
) -> Asked:
    """Two workloads on a broker, and the rollout from the first to the second in `build`."""
    old, new = (
        HEAD % {"transport": broker.transport, "options": option} + body
        for body, option in zip(bodies, options, strict=True)
    )
    compiled(new, folder / "build", old=compiled(old, folder / "old"))
    return Asked(folder, broker)


def asked(broker: Broker, folder: Path, body: str = BODY, *, options: str = "") -> Asked:
    """The workload on a broker, compiled to `build`."""
    compiled(HEAD % {"transport": broker.transport, "options": options} + body, folder / "build")
    return Asked(folder, broker)
