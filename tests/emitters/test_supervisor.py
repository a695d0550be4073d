"""Supervisor programs, read by supervisor's own options and run by a private supervisord."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fleet_plans import HOSTILE, HOSTILE_ENVIRONMENT, THREADS, WORKER, fleet, hostile_fleet
from processes import running, wait_until
from supervisor.options import ProcessConfig, ServerOptions
from tools import StandIn, needs, stand_in

from policycompiler.emitters import supervisor
from policycompiler.plan import Plan, Value

BATCH = [
    *("--app", "shop.celery_app:app", "worker"),
    *("--hostname", "worker@shop.batch.cpu.1.%h"),
    *("--queues", "shop.batch.cpu"),
    *("--pool", "prefork", "--concurrency", "4", "--prefetch-multiplier", "1"),
    *("--max-tasks-per-child", "1000", "--max-memory-per-child", "900000"),
    *("--without-gossip", "--without-mingle"),
    *("--events", "--loglevel", "INFO"),
]


def everything() -> Plan:
    return fleet(beat={"host": "app-1"}, more={"shop.interactive.io": THREADS})


def text_of(plan: Plan) -> str:
    (file,) = supervisor.emit(plan)
    assert (file.path, file.mode) == ("supervisor/shop.conf", 0o644)
    return file.text


def main_configuration(folder: Path, plan: Plan) -> Path:
    """The file of a supervisord of its own that includes what is emitted."""
    (folder / "shop.conf").write_text(text_of(plan), encoding="utf-8")
    main = folder / "main.conf"
    main.write_text(
        f"[unix_http_server]\nfile={folder}/s\n"
        f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\nnodaemon=true\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        "[include]\nfiles=shop.conf\n",
        encoding="utf-8",
    )
    return main


def programs(folder: Path, plan: Plan) -> dict[str, ProcessConfig]:
    """Each process that supervisor reads from what is emitted, by name."""
    options = ServerOptions()
    options.realize(["-c", str(main_configuration(folder, plan))])
    (group,) = options.process_group_configs
    assert group.name == "shop"
    return {process.name: process for process in group.process_configs}


class Supervisord(NamedTuple):
    """A private supervisord with a stand-in for `celery` on its PATH."""

    folder: Path
    celery: StandIn

    def control(self, *words: str) -> str:
        command = [needs("supervisorctl"), "-s", f"unix://{self.folder}/s", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def states(self) -> dict[str, str]:
        """The state of each process by its name."""
        return dict(re.findall(r"^shop:(\S+) +([A-Z]+) ", self.control("status"), re.MULTILINE))


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisord]:
    """It runs three workers and beat, and has made up its mind about each."""
    environment: dict[str, Value] = dict(HOSTILE_ENVIRONMENT)
    hostile = {
        "environment": environment,
        "command_prefix": ["celery", *HOSTILE],
        "node_name": "worker@hostile",
    }
    plan = fleet(beat={}, more={"shop.interactive.io": THREADS, "hostile": hostile})
    folder = tmp_path_factory.mktemp("s")
    found = Supervisord(folder, stand_in(folder, stays=True))
    command = [needs("supervisord"), "-n", "-s", "-c", main_configuration(folder, plan)]
    path = f"{found.celery.folder}:{os.defpath}"
    log = folder / "output"
    with running(command, log=log, environment={**os.environ, "PATH": path}, folder=folder) as process:

        def settled() -> bool:
            states = set(found.states().values())
            return bool(states) and not states & {"STOPPED", "STARTING", "BACKOFF"}

        wait_until(settled, "every process has started or failed", seconds=60, process=process, log=log)
        yield found


@pytest.mark.server
def test_supervisord_keeps_every_process_running(supervisord):
    assert supervisord.states() == {
        "shop-shop.batch.cpu_1": "RUNNING",
        "shop-shop.interactive.io_1": "RUNNING",
        "shop-shop.interactive.io_2": "RUNNING",
        "shop-hostile_1": "RUNNING",
        "shop-beat": "RUNNING",
    }


@pytest.mark.server
def test_each_process_was_started_as_planned(supervisord):
    started = {tuple(start.arguments) for start in supervisord.celery.starts()}
    interactive = [
        *("--app", "shop.celery_app:app", "worker"),
        *("--hostname", "worker@shop.interactive.io.{}.%h"),
        *("--queues", "shop.interactive.io,shop.standard.io"),
        *("--pool", "threads", "--concurrency", "4", "--prefetch-multiplier", "1"),
        *("--loglevel", "INFO"),
    ]
    beat = [
        *("--app", "shop.celery_app:app", "beat"),
        *("--scheduler", "celery.beat:PersistentScheduler"),
        *("--schedule", "celerybeat-schedule", "--pidfile="),
        *("--max-interval", "300", "--loglevel", "INFO"),
    ]
    hostile = [*HOSTILE, "celery", *(word.replace("@shop.batch.cpu", "@hostile") for word in BATCH)]
    assert started == {
        tuple(BATCH),
        tuple(word.format(1) for word in interactive),
        tuple(word.format(2) for word in interactive),
        tuple(beat),
        tuple(hostile),
    }


@pytest.mark.server
def test_each_variable_reaches_the_process_as_it_was_written(supervisord):
    (hostile,) = [start for start in supervisord.celery.starts() if start.arguments[0] == HOSTILE[0]]
    assert {name: hostile.environment[name] for name in HOSTILE_ENVIRONMENT} == HOSTILE_ENVIRONMENT


@pytest.mark.server
def test_supervisor_watches_celery_itself(supervisord):
    watched = {int(supervisord.control("pid", f"shop:{name}")) for name in supervisord.states()}
    assert watched == {start.pid for start in supervisord.celery.starts()}


def test_without_schedules_there_is_no_beat(tmp_path):
    assert list(programs(tmp_path, fleet())) == ["shop-shop.batch.cpu_1"]


def test_a_stop_reaches_the_main_process_alone_and_waits(tmp_path):
    found = programs(tmp_path, everything())
    assert {process.stopsignal for process in found.values()} == {signal.SIGTERM}
    assert {process.stopasgroup for process in found.values()} == {False}
    assert {process.killasgroup for process in found.values()} == {True}
    assert {name: process.stopwaitsecs for name, process in found.items()} == {
        "shop-shop.batch.cpu_1": 8670,
        "shop-shop.interactive.io_1": 8670,
        "shop-shop.interactive.io_2": 8670,
        "shop-beat": 10,
    }


def test_workers_start_before_beat(tmp_path):
    found = programs(tmp_path, everything())
    assert [process.priority for process in found.values()] == [100, 100, 100, 200]
    assert list(found)[-1] == "shop-beat"


def test_a_process_is_started_again_whatever_ended_it(tmp_path):
    for process in programs(tmp_path, everything()).values():
        assert process.autostart
        assert process.autorestart.__name__ == "RestartUnconditionally"


def test_failing_starts_are_tried_for_more_than_a_year(tmp_path):
    for process in programs(tmp_path, everything()).values():
        # Before the start after the n-th failure supervisor waits n seconds.
        assert sum(range(1, process.startretries + 1)) > 365 * 24 * 60 * 60


def test_every_text_survives_supervisors_reading(tmp_path):
    command = shlex.split(programs(tmp_path, hostile_fleet())["shop-shop.batch.cpu_1"].command)
    variables = [f"{name}={value}" for name, value in HOSTILE_ENVIRONMENT.items()]
    assert command == ["env", *variables, "celery", *HOSTILE, "celery", *BATCH]


def test_a_description_cannot_break_out_of_its_comment(tmp_path):
    assert programs(tmp_path, fleet({"description": "50% of %(here)s; [program:x]"}))
    with pytest.raises(ValueError, match="control character"):
        text_of(fleet({"description": "x\n[program:x]"}))


def test_a_name_that_supervisor_would_read_differently_is_refused():
    with pytest.raises(ValueError, match="not a plain name"):
        text_of(fleet(more={"a,b": WORKER}))


def test_the_host_of_beat_is_named():
    assert "; Beat runs on host app-1: remove this program on other hosts." in text_of(everything())


def test_the_file_shows_the_settings_of_every_process():
    (file,) = supervisor.emit(everything())
    assert {
        "worker:shop.interactive.io/replicas",
        "worker:shop.batch.cpu/queues",
        "beat/host",
    } <= file.addresses
    assert "worker:shop.batch.cpu/memory_bytes" not in file.addresses
