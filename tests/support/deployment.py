"""The example shop, compiled and deployed for a test: what is started, sent, and seen to run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from subprocess import Popen

import redis
import witness
from compiled import SHOP, compile_shop, configured_app, read_plan
from kombu import Connection
from processes import running, wait_until
from servers import rabbitmq_server, redis_server

from policycompiler.plan import Plan, Scope, Value

TRANSPORTS = ("redis", "rabbitmq")

# Tasks that the shop's own code does not have, and a schedule that a test lives to see.
EXTRA = """\
version: 1
tasks:
  shop.search.headstrong: {queue: search, work: io, idempotent: true, runtime: 7s}
schedules:
  every-two-seconds: {task: shop.inventory.sync_stock, every: 2s}
"""


class Deployment:
    """A compiled shop with servers to run on; `sent` has the ids of all that the test has sent."""

    def __init__(self, folder: Path, build: Path, urls: Mapping[str, str]) -> None:
        """`folder` gets the log, the witness file and beat's schedule."""
        self.folder = folder
        self.build = build
        self.urls = urls
        self.log = folder / "processes.log"
        self.witness = folder / "witness.jsonl"
        self.sent: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """Of every process that the test starts; nothing is inherited but the search path."""
        modules = [self.build, SHOP, Path(__file__).parent]
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "LANG": "C.UTF-8",
            **self.urls,
        }

    @cached_property
    def plan(self) -> Plan:
        """As written by the compile."""
        return read_plan(self.build)

    @cached_property
    def routing(self) -> dict:
        """`routing.json`."""
        return json.loads((self.build / "routing.json").read_text("utf-8"))

    @cached_property
    def registered(self) -> list[str]:
        """The names of all tasks that the app knows."""
        return self._produce([])["registered"]

    @property
    def declared(self) -> list[str]:
        """The declared tasks by concrete names, those that a pattern declares included."""
        matches = [pattern["match"] for pattern in self.routing["patterns"]]
        others = [name for name in self.registered if name not in self.routing["tasks"]]
        return [
            *self.routing["tasks"],
            *(name for name in others if any(fnmatchcase(name, match) for match in matches)),
        ]

    @contextmanager
    def started(self, scripts: Sequence[str]) -> Iterator[list[Popen[bytes]]]:
        """Run launch scripts: workers with a witness, and beat. In the end all are stopped at once."""
        with ExitStack() as stack:
            processes = [stack.enter_context(self._running(script)) for script in scripts]
            try:
                yield processes
            finally:
                for process in processes:
                    process.send_signal(signal.SIGTERM)
                for process in processes:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(90)

    def _running(self, script: str):
        arguments = [] if script == "beat" else ["-I", "witness,extra_tasks"]
        return running(
            [self.build / "launch" / f"{script}.sh", *arguments],
            log=self.log,
            environment={**self.environment, "WITNESS": str(self.witness)},
            folder=self.folder,
        )

    def send(self, *names: str, countdown: float | None = None, **kwargs: object) -> list[str]:
        """Call these tasks as the shop does; their ids."""
        options = {} if countdown is None else {"countdown": countdown}
        ids = self._produce([[name, kwargs, options] for name in names])["ids"]
        self.sent += ids
        return ids

    def send_by_name(self, *names: str) -> list[str]:
        """Send these tasks from an app that has loaded `celeryconfig` only; their ids."""
        app = configured_app(self.build, self.urls)
        with app.connection_for_write() as connection:
            ids = [app.send_task(name, connection=connection).id for name in names]
        self.sent += ids
        return ids

    def _produce(self, calls: list) -> dict:
        command = [sys.executable, Path(__file__).parent / "shop_producer.py"]
        process = subprocess.run(
            command,
            input=json.dumps(calls),
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)

    def wait_for_starts(self, ids: Sequence[str]) -> None:
        """Until each of these runs has begun."""
        self._wait(witness.starts, ids, "each task has started")

    def wait_for_ends(self, ids: Sequence[str]) -> None:
        """Until each of these runs has ended."""
        self._wait(witness.ends, ids, "each task has ended")

    def _wait(self, read, ids: Sequence[str], what: str) -> None:
        def all_there() -> bool:
            return set(ids) <= {event["id"] for event in read(self.witness)}

        wait_until(all_there, what, seconds=60, log=self.log)

    def runs(self, ids: Sequence[str]) -> list[dict[str, Value]]:
        """What the workers saw of these tasks, one entry a start, as `expected` says it."""
        return [_seen(start) for start in witness.starts(self.witness) if start["id"] in ids]

    def outcomes(self, ids: Sequence[str]) -> list[str]:
        """The states in which these tasks ended, one entry an end."""
        return [end["state"] for end in witness.ends(self.witness) if end["id"] in ids]

    def uninvited(self) -> list[dict[str, Value]]:
        """The runs that this test has not sent."""
        return [_seen(start) for start in witness.starts(self.witness) if start["id"] not in self.sent]

    def expected(self, name: str) -> dict[str, Value]:
        """How a declared task has to run by `routing.json` and the plan."""
        entry, queue = name, self.routing["tasks"].get(name, {}).get("queue")
        if queue is None:
            pattern = next(one for one in self.routing["patterns"] if fnmatchcase(name, one["match"]))
            entry, queue = pattern["match"], pattern["queue"]
        scope = Scope("task", entry)
        (worker,) = self.routing["queues"][queue]["workers"]
        limits = {
            key: self.plan.value(scope, f"options.{key}")
            for key in ("time_limit", "soft_time_limit", "acks_late")
        }
        return {"task": name, "worker": worker, "routing_key": queue, **limits}

    def messages_left(self, queue: str) -> int:
        """How many messages wait in a queue or were not acknowledged, once no worker runs any more.

        Redis keeps those that a worker holds aside; RabbitMQ puts them back when the worker leaves.
        """
        url = self.urls["CELERY_BROKER_URL"]
        if url.startswith("redis"):
            with redis.Redis.from_url(url) as client:
                return client.hlen("unacked") + client.llen(queue)
        with Connection(url) as connection, connection.channel() as channel:
            return channel.queue_declare(queue, passive=True).message_count


def _seen(start: Mapping[str, Value]) -> dict[str, Value]:
    node = str(start["hostname"]).removeprefix("worker@")
    worker = node.removesuffix(f".1.{socket.gethostname()}")
    keys = ("task", "routing_key", "time_limit", "soft_time_limit", "acks_late")
    return {"worker": worker, **{key: start[key] for key in keys}}


@contextmanager
def deployed(transport: str, folder: Path, *, more: str = "", policy: str = "") -> Iterator[Deployment]:
    """The shop compiled for a broker, with private servers running; results are on a Redis in any case."""
    environment = None if transport == "redis" else transport
    build = compile_shop(folder, environment=environment, more=more, policy=policy)
    with ExitStack() as stack:
        results = stack.enter_context(redis_server(folder))
        broker = results
        if transport == "rabbitmq":
            broker = stack.enter_context(rabbitmq_server(folder))
        urls = {"CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": results.removesuffix("0") + "1"}
        yield Deployment(folder, build, urls)
