"""Units, read by systemd itself: `systemd-analyze` loads them as the service manager does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from fleet_plans import HOSTILE, HOSTILE_ENVIRONMENT, THREADS, fleet, hostile_fleet
from tools import needs

from policycompiler.emitters import systemd
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan

TARGET = "shop-celery.target"
BATCH = "shop-worker-shop.batch.cpu@1.service"
BEAT = "shop-beat.service"

# Units of the distribution that ours, or the defaults of every service, refer to.
OTHERS = ["sysinit", "basic", "shutdown", "network-online", "multi-user"]


def files(plan: Plan) -> dict[str, OutputFile]:
    return {file.path: file for file in systemd.emit(plan)}


def everything() -> Plan:
    return fleet(beat={"host": "app-1"}, more={"shop.interactive.io": THREADS})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An otherwise empty machine on which the programs are installed that units name."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for other in OTHERS:
        (units / f"{other}.target").write_text("[Unit]\n", encoding="utf-8")
    for program in ("srv/shop/venv/bin/celery", "usr/bin/env", "bin/kill"):
        install(tmp_path / program)
    return tmp_path


def install(program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(mode=0o755)


def put(root: Path, plan: Plan) -> None:
    for file in systemd.emit(plan):
        (root / "etc/systemd/system" / Path(file.path).name).write_text(file.text, encoding="utf-8")


def analyze(root: Path, *arguments: str, level: str = "info") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [needs("systemd-analyze"), f"--root={root}", *arguments],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": level, "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def complaints(root: Path, unit: str) -> tuple[int, str]:
    """What systemd says about a unit; it warns about misspelled keys and values, and still exits with 0."""
    found = analyze(root, "verify", "--man=no", unit)
    return found.returncode, found.stdout + found.stderr


def loaded(root: Path, unit: str) -> str:
    """A unit as systemd has understood it."""
    found = analyze(root, "verify", "--man=no", unit, level="debug")
    assert found.returncode == 0, found.stderr
    return next(part for part in found.stdout.split("-> Unit ") if part.startswith(f"{unit}:"))


def property_of(dump: str, name: str) -> str:
    (value,) = re.findall(rf"^\s*{name}: (.*)$", dump, re.MULTILINE)
    return value


def unexpanded(dump: str) -> list[str]:
    """The words of the command, before systemd expands `$`."""
    (line,) = re.findall(r"-> ExecStart:\n\s*Command Line: (.*)$", dump, re.MULTILINE)
    shell = subprocess.run(
        ["sh", "-c", f"set -- {line}; printf '%s\\0' \"$@\""], capture_output=True, text=True, check=True
    )
    return shell.stdout.split("\0")[:-1]


def arguments(dump: str) -> list[str]:
    """What systemd would execute.

    It prints the words quoted for a shell, with `$` still to be expanded. That last step is done here by the
    manual's rule for `$$`; a single `$`, which would name a variable, must not occur.
    """
    words = unexpanded(dump)
    assert not [word for word in words if "$" in word.replace("$$", "")]
    return [word.replace("$$", "$") for word in words]


def test_there_is_a_template_for_each_worker_a_service_for_beat_and_a_target():
    found = files(everything())
    assert set(found) == {
        "systemd/shop-worker-shop.batch.cpu@.service",
        "systemd/shop-worker-shop.interactive.io@.service",
        "systemd/shop-beat.service",
        "systemd/shop-celery.target",
    }
    assert {file.mode for file in found.values()} == {0o644}


def test_without_schedules_there_is_no_beat():
    found = files(fleet())
    assert set(found) == {"systemd/shop-worker-shop.batch.cpu@.service", "systemd/shop-celery.target"}
    assert "beat" not in found["systemd/shop-celery.target"].text


@pytest.mark.parametrize("unit", [TARGET, BATCH, BEAT, "shop-worker-shop.interactive.io@2.service"])
def test_systemd_has_nothing_to_say_about_a_unit(root, unit):
    put(root, everything())
    assert complaints(root, unit) == (0, "")


def test_systemd_would_say_something_about_a_misspelled_key(root):
    put(root, everything())
    service = root / "etc/systemd/system" / BEAT
    service.write_text(service.read_text("utf-8").replace("KillMode=", "KilMode="), encoding="utf-8")
    status, said = complaints(root, BEAT)
    assert status == 0
    assert "Unknown key" in said


@pytest.mark.parametrize("unit", [BATCH, BEAT])
def test_a_service_is_well_enclosed(root, unit):
    put(root, everything())
    found = analyze(root, "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"Overall exposure level for {unit}:" in found.stdout


def test_a_worker_starts_as_planned(root):
    put(root, everything())
    assert arguments(loaded(root, BATCH)) == [
        *("/srv/shop/venv/bin/celery", "--app", "shop.celery_app:app", "worker"),
        *("--hostname", "worker@shop.batch.cpu.1.%h"),
        *("--queues", "shop.batch.cpu"),
        *("--pool", "prefork", "--concurrency", "4", "--prefetch-multiplier", "1"),
        *("--max-tasks-per-child", "1000", "--max-memory-per-child", "900000"),
        *("--without-gossip", "--without-mingle"),
        *("--events", "--loglevel", "INFO"),
    ]


def test_a_stop_reaches_the_main_process_alone_and_waits(root):
    put(root, everything())
    dump = loaded(root, BATCH)
    assert property_of(dump, "KillMode") == "mixed"
    assert property_of(dump, "KillSignal") == "SIGTERM"
    assert property_of(dump, "TimeoutStopSec") == "2h 24min 30s"


def test_a_worker_is_started_again_whatever_ended_it(root):
    put(root, everything())
    dump = loaded(root, BATCH)
    assert property_of(dump, "Type") == "exec"
    assert property_of(dump, "Restart") == "always"
    assert property_of(dump, "RestartSec") == "5s"
    assert property_of(dump, "OOMPolicy") == "continue"
    assert property_of(dump, "MemoryMax").startswith(str(4 * 1024**3))


@pytest.mark.parametrize("unit", [BATCH, BEAT])
def test_a_unit_is_never_given_up(unit):
    text = files(everything())[f"systemd/{unit.replace('@1', '@')}"].text
    head, _, service = text.partition("[Service]")
    assert "\nStartLimitIntervalSec=0\n" in head
    assert "\nRestartSec=5s\n" in service


def test_a_worker_without_a_memory_budget_has_no_limit():
    assert "MemoryMax" not in files(fleet({"memory_bytes": None}))[f"systemd/{BATCH.replace('1', '')}"].text


def test_secrets_come_from_a_file_that_must_be_there(root):
    put(root, everything())
    assert property_of(loaded(root, BATCH), "EnvironmentFile") == "/etc/shop/celery.env"


def test_the_target_wants_each_process_and_beat(root):
    put(root, everything())
    wanted = re.findall(r"^\s*Wants: (\S+)", loaded(root, TARGET), re.MULTILINE)
    assert sorted(wanted) == [
        BEAT,
        BATCH,
        "shop-worker-shop.interactive.io@1.service",
        "shop-worker-shop.interactive.io@2.service",
    ]


def test_stopping_the_target_stops_what_it_started(root):
    put(root, everything())
    for unit in (BATCH, BEAT):
        assert f"PartOf: {TARGET} " in loaded(root, unit)


def test_beat_keeps_its_schedule_in_its_state_directory(root):
    put(root, everything())
    dump = loaded(root, BEAT)
    assert arguments(dump) == [
        *("/srv/shop/venv/bin/celery", "--app", "shop.celery_app:app", "beat"),
        *("--scheduler", "celery.beat:PersistentScheduler"),
        *("--schedule", "/var/lib/shop-beat/schedule", "--pidfile="),
        *("--max-interval", "300", "--loglevel", "INFO"),
    ]
    assert "StateDirectory: shop-beat" in dump


def test_beat_starts_on_its_host_alone(root):
    put(root, everything())
    assert re.search(r"ConditionHost: .*app-1", loaded(root, BEAT))


def test_beat_without_a_host_starts_anywhere(root):
    put(root, fleet(beat={}))
    assert "ConditionHost" not in loaded(root, BEAT)
    assert complaints(root, BEAT) == (0, "")


def test_every_text_reaches_the_process_as_it_was_written(root):
    put(root, hostile_fleet())
    assert complaints(root, BATCH) == (0, "")
    dump = loaded(root, BATCH)
    assert arguments(dump)[: len(HOSTILE) + 4] == [
        *("/usr/bin/env", "celery"),
        *HOSTILE,
        *("/srv/shop/venv/bin/celery", "--app"),
    ]
    environment = dict(re.findall(r"^\s*Environment: (\w+)=(.*)$", dump, re.MULTILINE))
    search = {"PATH": "/srv/shop/venv/bin:/usr/local/bin:/usr/bin:/bin"}
    assert environment == {**search, **HOSTILE_ENVIRONMENT}


def test_a_prefix_with_a_path_is_executed_as_it_is(root):
    install(root / "opt/trace")
    put(root, fleet({"command_prefix": ["/opt/trace", "--on"]}))
    assert complaints(root, BATCH) == (0, "")
    dump = loaded(root, BATCH)
    assert arguments(dump)[:4] == ["/opt/trace", "--on", "/srv/shop/venv/bin/celery", "--app"]
    assert "Environment: PATH" not in dump


def test_an_odd_path_of_the_executable_is_found(root):
    odd = "/srv/my $HOME/100% new;/celery"
    install(root / odd[1:])
    put(root, fleet(app={"executable": odd}))
    assert complaints(root, BATCH) == (0, "")


@pytest.mark.parametrize("path", ["/srv/cel'ery", '/srv/cel"ery', "/srv/cel\\ery"])
def test_a_path_that_systemd_does_not_execute_is_refused(path):
    with pytest.raises(ValueError, match="quotes or backslashes"):
        files(fleet(app={"executable": path}))


def test_a_description_cannot_break_out_of_its_comment(root):
    put(root, fleet({"description": "50% of $HOME; [Service] \\"}))
    assert complaints(root, BATCH) == (0, "")
    with pytest.raises(ValueError, match="control character"):
        files(fleet({"description": "x\nExecStartPre=/bin/false"}))


@pytest.mark.parametrize("folder", ["/srv/shop\\", "/srv/shop ", "/srv/\nUser=root"])
def test_a_path_that_systemd_would_read_differently_is_refused(folder):
    with pytest.raises(ValueError, match=r"would read only a part|control character"):
        files(fleet(app={"working_directory": folder}))


def test_a_unit_shows_the_settings_of_its_own_worker():
    found = files(everything())
    shown = found["systemd/shop-worker-shop.batch.cpu@.service"].addresses
    assert {"worker:shop.batch.cpu/memory_bytes", "app/user", "app/broker_url_variable"} <= shown
    assert not {address for address in shown if "interactive" in address or address.startswith("beat")}
    assert found["systemd/shop-celery.target"].addresses == {
        "app/service",
        "worker:shop.batch.cpu/replicas",
        "worker:shop.interactive.io/replicas",
    }


def test_slots_come_from_the_environment_file_and_names_are_as_they_are(root):
    own = {
        "concurrency_source": "${SLOTS}",
        "node_name": "w-%n@%h",
        "node_name_is_whole": True,
        "app": "o:app",
    }
    put(root, fleet(worker={**own, "replicas": 1, "queues": ["high priority", "größe", "$HOME"]}))
    dump = loaded(root, BATCH)
    words = unexpanded(dump)
    assert words[words.index("--concurrency") + 1] == "${SLOTS}"
    assert words[words.index("--hostname") + 1] == "w-%n@%h"
    assert words[words.index("--queues") + 1] == "high priority,größe,$$HOME"
    assert words[words.index("--app") + 1] == "o:app"
