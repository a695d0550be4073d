"""A service with guards: its folder, its workers on real servers, and what its tasks have done.

The folder is like one that was compiled: `celeryconfig.py` has the literal `_guards`, and the package is a copy
with the name that it has there. Database 0 of the Redis has the messages, 1 the results, 2 the records of
guards, and 3 the effects of tasks.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

import psutil
import redis
from celery import Celery
from places import SUPPORT
from processes import running, wait_until

from policycompiler.runtime import guards
from policycompiler.runtime.guards import effects

PACKAGE = Path(guards.__file__).parent
CONFIGURATION = """\
from importlib import import_module
from os import environ

broker_url, result_backend = environ["BROKER_URL"], environ["RESULT_URL"]
broker_transport_options = {transport}
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
worker_enable_remote_control = False
result_extended = True
broker_connection_retry_on_startup = True

_guards = {guards}
_guarded = import_module("celeryconfig_guards").guard(_guards)


class _Annotations:
    def annotate(self, task):
        return dict(_guarded.annotate(task))

    def annotate_any(self):
        return None


task_annotations = _Annotations()
{more}
"""
KEYED = {"key": "payment_id", "keep": 600.0, "lease": 90.0}
PARKING = {"longest": 60.0, "whole_seconds": False, "store_seconds": 1.0}


class Sent(NamedTuple):
    """A task that was published. Celery's own result would keep a connection open."""

    id: str
    results: redis.Redis

    def _read(self) -> dict[str, Any]:
        text = self.results.get(f"celery-task-meta-{self.id}")
        return json.loads(text) if text else {"status": "PENDING", "result": None}

    @property
    def state(self) -> str:
        """Its state, as the worker has stored it."""
        return str(self._read()["status"])

    @property
    def result(self) -> Any:
        """Its result, or a mapping that describes the exception."""
        return self._read()["result"]


class Site:
    """A deployed service."""

    def __init__(self, folder: Path, broker: str, redis_url: str, store: str | None = None) -> None:
        self.folder, self.broker, self.redis_url = folder, broker, redis_url
        self.store_url = store or self._database(2)
        self.effects = redis.Redis.from_url(self._database(3), decode_responses=True)
        self.store = redis.Redis.from_url(self.store_url, decode_responses=True)
        self.app = Celery("producer", broker=broker, backend=self._database(1), set_as_current=False)
        # Results of chords would ask a server that is gone.
        self.app.backend.remove_pending_result = lambda _: None
        self.results = redis.Redis.from_url(self._database(1))

    def _database(self, number: int) -> str:
        return f"{self.redis_url.rpartition('/')[0]}/{number}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the configuration and of the tasks."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BROKER_URL": self.broker,
            "RESULT_URL": self._database(1),
            "STORE_URL": self.store_url,
            "EFFECTS_URL": self._database(3),
            "PYTHONPATH": str(self.folder),
        }

    def send(self, task: str, *args: Any, **options: Any) -> Sent:
        """Publish a task by name."""
        return self.sent(self.app.send_task(task, args, **options).id)

    def sent(self, task_id: str) -> Sent:
        """A task that was published otherwise."""
        return Sent(task_id, self.results)

    def add(self, module: str) -> None:
        """Copy a module of this folder beside the configuration."""
        shutil.copy(SUPPORT / f"{module}.py", self.folder)

    def effect(self, key: str) -> int:
        """How often the effect happened."""
        return int(self.effects.get(f"effect:{key}") or 0)

    def runs(self, key: str) -> int:
        """How many runs began."""
        return self.effects.llen(f"runs:{key}")

    def left(self, *queues: str) -> int:
        """The messages that wait, that are not acknowledged, and that are delayed, on Redis."""
        client = redis.Redis.from_url(self.redis_url)
        return sum(client.llen(queue) for queue in queues or ("celery",)) + client.hlen("unacked")

    @contextmanager
    def worker(
        self, name: str = "w", *words: str, pool: str = "prefork", slots: int = 2, queue: str = "celery"
    ) -> Iterator[Popen[bytes]]:
        """A worker that has begun to consume."""
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--queues", queue]
        more = [
            "--pool",
            pool,
            "--concurrency",
            str(slots),
            "--hostname",
            f"{name}@host",
            "--loglevel",
            "INFO",
        ]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with running(
            [*command, *more, *quiet, *words],
            log=log,
            folder=self.folder,
            environment=self.environment,
            stop_seconds=0,
        ) as process:
            wait_until(lambda: " ready." in log.read_text(), f"{name} is ready", process=process, log=log)
            yield process

    def succeeded(self, results: Sequence[Sent], seconds: float = 60) -> list[Any]:
        """The results of tasks that all succeed in time."""
        wait_until(
            lambda: all(each.state == "SUCCESS" for each in results),
            f"success of all {len(results)}",
            seconds=seconds,
            log=self.folder / "w.log",
        )
        return [each.result for each in results]


def deploy(
    folder: Path,
    redis_url: str,
    app: str,
    tasks: Mapping[str, Any],
    broker: str = "",
    store: str | None = None,
    more: str = "",
    **guards_: Any,
) -> Site:
    """Write the folder of a service; on Redis, unless there is another broker."""
    folder.mkdir(exist_ok=True)
    for number in range(4):
        redis.Redis.from_url(f"{redis_url.rpartition('/')[0]}/{number}").flushdb()
    transport: dict[str, Any] = {"visibility_timeout": 3600, "global_keyprefix": ""}
    transport.update(guards_.pop("transport", {}))
    told = {"service": "shop", "store": "STORE_URL", "prefix": "", "parking": PARKING, "tasks": dict(tasks)}
    text = CONFIGURATION.format(
        transport=transport if not broker else {}, guards={**told, **guards_}, more=more
    )
    (folder / "celeryconfig.py").write_text(text, "utf-8")
    (folder / "shop_app.py").write_text(app, "utf-8")
    shutil.copytree(
        PACKAGE,
        folder / "celeryconfig_guards",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return Site(folder, broker or redis_url, redis_url, store)


def take(site: Site, task: str, key: str, seconds: float, **more: Any) -> str:
    """Put the record of a run that nobody knows of into the store, as after a worker that was killed.

    Its lease is over in so many seconds. Returns the name of the record.
    """
    name, arguments = effects._hash(key), effects._hash({"payment_id": key, **more})
    record = f"shop:{task}:{name}"
    values = "nobody", "elsewhere", "token", arguments, int(seconds * 1000), 3, 600_000, 10**15
    assert site.store.eval(effects.CLAIM, 1, record, *values)[:2] == ["run", 0]
    return record


def children(site: Site) -> list[psutil.Process]:
    """The processes of the pools of workers of this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(site.folder) and process.parent().cwd() == str(site.folder):
                found.append(process)
    return found
