"""Names, apps and slots of an existing deployment reach the process as the workload has them, in each target."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from supervisor.options import ServerOptions
from tools import stand_in
from workloads import compiled, workload

from policycompiler.emitters import celeryconfig, launch, supervisor
from policycompiler.plan import Plan

QUEUES = ["high priority", "foo:bar", "{hash}", "größe", "it's", 'a"b', "100%", "$HOME", "x;y", "#1", "a\\b"]
VARIABLE = {"SLOTS": "7"}


def plan_of(fragment: str, policy: str = "version: 1\nextends: as-is\n") -> Plan:
    found = compiled(workload(f"broker: {{transport: redis, url: app}}\n{fragment}"), policy).plan
    assert found is not None
    return found.told()


def by_launch(plan: Plan, folder: Path) -> list[str]:
    file = next(file for file in launch.emit(plan) if file.path == "launch/w.sh")
    script = folder / "w.sh"
    script.write_text(file.text, "utf-8")
    script.chmod(file.mode)
    celery = stand_in(folder)
    environment = {"PATH": f"{celery.folder}:{os.defpath}", **VARIABLE}
    assert subprocess.run([script], env=environment, check=False, timeout=30).returncode == 0
    return list(celery.starts()[0].arguments)


def by_supervisor(plan: Plan, folder: Path) -> list[str]:
    options = ServerOptions()
    options.environ_expansions = {f"ENV_{name}": value for name, value in VARIABLE.items()}
    (file,) = supervisor.emit(plan)
    main = folder / "main.conf"
    main.write_text(f"[supervisord]\nlogfile={folder}/log\n{file.text}", "utf-8")
    options.realize(["-c", str(main)])
    (group,) = options.process_group_configs
    # Supervisor splits a command in the same way.
    process = next(each for each in group.process_configs if each.name.startswith("shop-w"))
    return shlex.split(process.command)[1:]


READERS = {"launch": by_launch, "supervisor": by_supervisor}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
Read = Callable[[Plan, Path], list[str]]


def option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


@every_reader
@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_reaches_the_worker_as_it_is_called(read: Read, queue: str, tmp_path: Path):
    quoted = "'" + queue.replace("'", "''") + "'"
    plan = plan_of(f"tasks: {{shop.a: {{queue: {quoted}}}}}\nworkers: {{w: {{queues: [{quoted}, other]}}}}\n")
    assert sorted((option(read(plan, tmp_path), "--queues") or "").split(",")) == sorted([queue, "other"])


@every_reader
@pytest.mark.parametrize(
    ("worker", "name"),
    [
        ("{queues: [celery]}", None),
        ("{queues: [celery], node_name: apply@%h}", "apply@%h"),
        ("{queues: [celery], node_name: w-%n-%d-%i@%h}", "w-%n-%d-%i@%h"),
        ("{queues: [celery], node_name: worker1@host, replicas: 1}", "worker1@host"),
        ("{queues: [celery], node_name: apply@%h, replicas: 2}", "apply.1@%h"),
        ("{queues: [celery], node_name: plain}", "worker@plain.1.%h"),
    ],
)
def test_a_node_name_is_the_one_of_the_workload(read: Read, worker: str, name: str | None, tmp_path: Path):
    assert option(read(plan_of(f"workers: {{w: {worker}}}\n"), tmp_path), "--hostname") == name


@every_reader
@pytest.mark.parametrize(
    ("slots", "version", "expected"),
    [
        ("auto", "5.7", "auto"),
        ("auto", "5.6", None),
        ('"${SLOTS}"', "5.7", "7"),
        ("3", "5.7", "3"),
    ],
)
def test_slots_come_from_the_machine_or_the_environment(
    read: Read, slots: str, version: str, expected: str | None, tmp_path: Path
):
    fragment = (
        f'celery: {{version: "{version}"}}\nworkers: {{w: {{queues: [celery], concurrency: {slots}}}}}\n'
    )
    assert option(read(plan_of(fragment), tmp_path), "--concurrency") == expected


@every_reader
def test_a_worker_has_the_app_and_the_options_of_its_own(read: Read, tmp_path: Path):
    options = "{exclude_queues: [slow], time_limit: 9, soft_time_limit: 8, statedb: /tmp/%n.db}"
    words = read(plan_of(f"workers: {{w: {{app: 'shop.other:app', options: {options}}}}}\n"), tmp_path)
    assert words == [
        *("--app", "shop.other:app", "worker", "--exclude-queues", "slow"),
        *("--time-limit", "9", "--soft-time-limit", "8", "--statedb", "/tmp/%n.db"),
    ]


def test_beat_has_an_app_of_its_own():
    plan = plan_of("tasks: {a: {}}\nschedules: {s: {task: a, every: 1h}}\nbeat: {app: 'shop.beat:app'}\n")
    file = next(file for file in launch.emit(plan) if file.path == "launch/beat.sh")
    assert "--app shop.beat:app beat" in file.text


@every_reader
def test_a_missing_variable_is_no_worker_with_another_number(read: Read, tmp_path: Path, monkeypatch):
    plan = plan_of('workers: {w: {queues: [celery], concurrency: "${SLOTS}"}}\n')
    monkeypatch.setitem(VARIABLE, "SLOTS", "")
    if read is by_launch:
        with pytest.raises(AssertionError):
            read(plan, tmp_path)
    else:
        assert option(read(plan, tmp_path), "--concurrency") == ""


def test_socket_options_by_number_become_the_constants_of_the_machine():
    options = "{socket_keepalive_options: {4: 15, TCP_KEEPINTVL: 5, 99: 1}}"
    fragment = f"broker: {{transport: redis, url: app, options: {options}}}\ntasks: {{a: {{}}}}\n"
    found = compiled(workload(fragment), "version: 1\nextends: as-is\n").plan
    assert found is not None
    (file,) = celeryconfig.emit(found.told())
    names: dict[str, object] = {}
    exec(file.text, names)
    assert names["broker_transport_options"] == {
        "socket_keepalive_options": {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, 99: 1}
    }
    assert "socket.TCP_KEEPIDLE: 15" in file.text
