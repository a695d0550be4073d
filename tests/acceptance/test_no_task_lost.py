"""Under a load of declared tasks: restarts, reloads, killed workers and brokers lose and double no work.

Each idempotent task ends at least once. A task that is not idempotent never starts twice, and ends unless it
ran in a process that was killed. The exceptions are a broker that is killed, and the moment in which a worker
has given a task to a child and does not know yet that it has begun.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

import pytest
from compiled import configured_app
from kombu.exceptions import OperationalError
from managers import MANAGERS, Manager, in_background, managed
from mortal import BROKERS, Mortal, mortal
from processes import wait_until
from sentinels import MASTER_NAME, Sentinels, sentinels
from workloads import workload

from policycompiler import output
from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

LATE, EARLY = "load.late", "load.early"
APP = """\
import json, os, time
from celery import Celery

app = Celery("load")
app.config_from_object("celeryconfig")


def note(task, what):
    with open(os.environ["WITNESS"], "a") as file:
        redelivered = (task.request.delivery_info or {}).get("redelivered")
        file.write(json.dumps([task.request.id, what, bool(redelivered)]) + "\\n")


def run(self):
    note(self, "start")
    time.sleep(0.2)
    note(self, "end")


@app.task(bind=True, name="load.late")
def late(self):
    run(self)


@app.task(bind=True, name="load.early")
def early(self):
    run(self)
"""
VISIBILITY_SECONDS = 15
LOAD = """\
results: {{backend: none}}
tasks:
  load.late: {{idempotent: true, runtime: 500ms, options: {{time_limit: 4, soft_time_limit: 3}}}}
  load.early: {{idempotent: false, runtime: 500ms, options: {{time_limit: 4, soft_time_limit: 3}}}}
workers: {{all: {{queues: ["*"], concurrency: 3, options: {{prefetch_multiplier: 1}}}}}}
broker: {{transport: {transport}, url: "${{CELERY_BROKER_URL}}"{more}}}
"""


class Load:
    """A worker under a manager, and tasks that are sent all the time."""

    def __init__(self, folder: Path, build: Path, broker: Mortal | Sentinels) -> None:
        self.witness = folder / "witness.jsonl"
        self.witness.touch()
        self.build, self.broker = build, broker
        self.sent: list[tuple[str, str]] = []

    def send(self, stop) -> None:
        """Send until `stop` is set. A publish that fails may have arrived, so its task counts for nothing."""
        app = configured_app(self.build, {"CELERY_BROKER_URL": self.broker.url})
        names = cycle((LATE, EARLY))
        app.conf.task_publish_retry_policy = {"max_retries": 100, "interval_start": 0.1, "interval_max": 0.5}
        while not stop.wait(0.15):
            name = next(names)
            # A publish that is repeated after an error may arrive twice.
            with suppress(OperationalError):
                self.sent.append((name, app.send_task(name, retry=name == LATE).id))

    def counts(self) -> dict[str, Counter[str]]:
        """How often each task has started and ended, by what and id."""
        found: dict[str, Counter[str]] = {"start": Counter(), "end": Counter()}
        for task_id, what, _ in self._rows():
            found[what][task_id] += 1
        return found

    def _rows(self) -> list[tuple[str, str, bool]]:
        """What was written; the last line may be under way."""
        *whole, _ = self.witness.read_text("utf-8").split("\n")
        return [json.loads(line) for line in whole]

    def ids(self, name: str) -> set[str]:
        """The tasks of a name that were sent."""
        return {task_id for sent, task_id in self.sent if sent == name}

    def runs(self, more: int) -> None:
        """Wait until this many more tasks have ended."""
        goal = sum(self.counts()["end"].values()) + more
        wait_until(lambda: sum(self.counts()["end"].values()) >= goal, f"{more} more tasks end", seconds=60)

    def all_late_end(self, seconds: float) -> None:
        """Wait until each idempotent task has ended."""
        late = self.ids(LATE)
        wait_until(lambda: late <= set(self.counts()["end"]), "each idempotent task ends", seconds=seconds)

    def lost(self) -> set[str]:
        """The tasks that are not idempotent and have not ended."""
        return self.ids(EARLY) - set(self.counts()["end"])

    def redelivered(self) -> set[str]:
        """The tasks that a broker has redelivered."""
        return {task_id for task_id, _, again in self._rows() if again}

    def doubled(self) -> set[str]:
        """The tasks that are not idempotent and started twice."""
        return {task_id for task_id in self.ids(EARLY) if self.counts()["start"][task_id] > 1}


@contextmanager
def loaded(
    manager: str, kind: str, folder: Path, change=None
) -> Iterator[tuple[Load, Manager, Mortal | Sentinels]]:
    """A compiled worker under load; `change` may spoil the compiled folder."""
    transport, _, release = kind.partition(" ")
    more = f', version: "{release}"'
    if transport != "rabbitmq":
        more = f", visibility_timeout: {VISIBILITY_SECONDS}s"
    if transport == "sentinel":
        transport = "redis"
        more += f", options: {{master_name: {MASTER_NAME}, socket_timeout: 5, socket_connect_timeout: 2}}"
    source = folder / "workload.yaml"
    text = workload(LOAD.format(transport=transport, more=more)).replace("service: shop", "service: load")
    source.write_text(text.replace("shop.celery_app:app", "load_app:app"), "utf-8")
    made = compile_workload([source])
    assert not made.failed, made.diagnostics
    build = folder / "build"
    output.write(build, [*made.files, output.manifest_file(made.files, made.sources, "0")])
    (build / "load_app.py").write_text(APP, "utf-8")
    if change is not None:
        change(build)
    with sentinels(folder) if kind == "sentinel" else mortal(kind, folder) as broker:
        load = Load(folder, build, broker)
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(build),
            "CELERY_BROKER_URL": broker.url,
            "WITNESS": str(load.witness),
            "LANG": "C.UTF-8",
        }
        with managed(manager, build, "all", folder, environment) as found:
            yield load, found, broker


@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize("manager", MANAGERS)
def test_stops_and_reloads_lose_and_double_nothing(manager, kind, tmp_path):
    with loaded(manager, kind, tmp_path) as (load, found, _):
        with in_background(load.send):
            load.runs(10)
            found.restart()
            load.runs(10)
            found.signal(signal.SIGHUP)
            load.runs(20)
        load.all_late_end(60)
        wait_until(lambda: not load.lost(), "each task that is not idempotent ends", seconds=60)
    # A stop may come right after a job went to a child, which then runs although the message goes back to the
    # broker (`knowledge/test_workers.py`). A busy machine makes this moment longer.
    assert load.doubled() <= load.redelivered()
    assert len(load.doubled()) <= 1
    assert len(load.ids(EARLY)) > 10


@pytest.mark.parametrize("kind", BROKERS)
def test_a_killed_worker_is_replaced_and_loses_only_what_it_ran(kind, tmp_path):
    with loaded("container", kind, tmp_path) as (load, found, _):
        with in_background(load.send):
            load.runs(10)
            found.kill()
            load.runs(20)
        # On Redis the messages of the killed worker come back 30 s after the visibility timeout, or sooner.
        load.all_late_end(VISIBILITY_SECONDS + 30)
        started = set(load.counts()["start"])
        wait_until(lambda: load.ids(EARLY) <= set(load.counts()["start"]), "each task starts", seconds=60)
    # A worker acknowledges a task once its child process has begun. If it is killed in between, the broker
    # redelivers a task that was killed at its very beginning.
    assert load.doubled() <= load.redelivered() & started
    assert [task_id for task_id in load.doubled() if load.counts()["end"][task_id] > 1] == []
    assert load.lost() <= started
    assert len(load.lost()) <= 3  # its slots


@pytest.mark.parametrize("kind", BROKERS)
def test_a_killed_broker_that_comes_back_loses_nothing(kind, tmp_path):
    with loaded("supervisor", kind, tmp_path) as (load, _, broker):
        with in_background(load.send):
            load.runs(10)
            broker.kill()
            broker.start()
            load.runs(20)
        load.all_late_end(VISIBILITY_SECONDS + 120)
    # RabbitMQ writes acknowledgments to disk some moments later, and Redis may be killed before it reads one.
    # Such a broker redelivers messages of tasks that have started, and no setting of Celery changes this.
    doubled = load.doubled()
    assert doubled <= load.redelivered()
    assert len(doubled) <= 10


def test_a_failover_of_sentinel_loses_nothing_that_was_replicated(tmp_path):
    with loaded("supervisor", "sentinel", tmp_path) as (load, _, broker):
        with in_background(load.send):
            load.runs(10)
            # Replication is asynchronous: what the master accepted in its last moments may be gone with it.
            before = {task_id for _, task_id in load.sent}
            load.runs(8)
            last = {task_id for _, task_id in load.sent} - before
            broker.kill()
            broker.start()
            load.runs(20)
        late = load.ids(LATE) - last
        wait_until(lambda: late <= set(load.counts()["end"]), "each idempotent task ends", seconds=60)
    assert len(late) > 10
    assert load.doubled() <= load.redelivered()


def test_control_a_stop_of_the_whole_group_loses_tasks(tmp_path):
    """What the tests above would see of a stop that is done wrong."""

    def spoil(build: Path) -> None:
        (conf,) = (build / "supervisor").glob("*.conf")
        conf.write_text(conf.read_text("utf-8").replace("stopasgroup=false", "stopasgroup=true"), "utf-8")

    with loaded("supervisor", "redis", tmp_path, spoil) as (load, found, _):
        with in_background(load.send):
            load.runs(5)
            found.restart()
            load.runs(5)
            found.restart()
            load.runs(5)
        # What still waits is no loss.
        wait_until(lambda: load.ids(EARLY) <= set(load.counts()["start"]), "each task starts", seconds=60)
        load.runs(0)
    assert load.lost()
