"""Launch scripts, read by the shells and run with a stand-in for `celery`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from fleet_plans import HOSTILE, HOSTILE_ENVIRONMENT, THREADS, fleet, hostile_fleet
from tools import Start, needs, stand_in

from policycompiler.emitters import launch
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan

URLS = {"CELERY_BROKER_URL": "redis://broker/0", "CELERY_RESULT_BACKEND": "redis://results/1"}

BATCH = [
    *("--app", "shop.celery_app:app", "worker"),
    *("--hostname", "worker@shop.batch.cpu.1.%h"),
    *("--queues", "shop.batch.cpu"),
    *("--pool", "prefork", "--concurrency", "4", "--prefetch-multiplier", "1"),
    *("--max-tasks-per-child", "1000", "--max-memory-per-child", "900000"),
    *("--without-gossip", "--without-mingle"),
    *("--events", "--loglevel", "INFO"),
]


def files(plan: Plan) -> dict[str, OutputFile]:
    return {file.path: file for file in launch.emit(plan)}


def everything() -> dict[str, OutputFile]:
    return files(fleet(beat={"host": "app-1"}, more={"shop.interactive.io": THREADS}))


def run(file: OutputFile, folder: Path, *arguments: str, **environment: str) -> Start:
    """The one start of `celery` that a script ends in."""
    script = folder / "script.sh"
    script.write_text(file.text, encoding="utf-8")
    script.chmod(file.mode)
    celery = stand_in(folder)
    path = f"{celery.folder}:{os.defpath}"
    process = subprocess.Popen([script, *arguments], env={"PATH": path, **URLS, **environment})
    assert process.wait(timeout=30) == 0
    (start,) = celery.starts()
    assert start.pid == process.pid, "the script must end in exec: a signal must reach Celery"
    return start


def test_there_is_a_script_for_each_worker_and_beat_and_a_procfile():
    assert {path: file.mode for path, file in everything().items()} == {
        "launch/shop.batch.cpu.sh": 0o755,
        "launch/shop.interactive.io.sh": 0o755,
        "launch/beat.sh": 0o755,
        "Procfile": 0o644,
    }


def test_without_schedules_there_is_no_beat():
    assert set(files(fleet())) == {"launch/shop.batch.cpu.sh", "Procfile"}


def test_shellcheck_and_dash_find_nothing(tmp_path):
    for tool in (["shellcheck", "-s", "sh", "-S", "style"], ["dash", "-n"]):
        program = needs(tool[0])
        for file in everything().values():
            if file.path.endswith(".sh"):
                script = tmp_path / "script.sh"
                script.write_text(file.text, encoding="utf-8")
                found = subprocess.run(
                    [program, *tool[1:], script], capture_output=True, text=True, check=False
                )
                assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_worker_starts_as_planned(tmp_path):
    assert run(everything()["launch/shop.batch.cpu.sh"], tmp_path).arguments == BATCH


def test_arguments_and_the_number_of_the_process_come_from_outside(tmp_path):
    start = run(everything()["launch/shop.batch.cpu.sh"], tmp_path, "--purge", "two words", INSTANCE="3")
    assert start.arguments == [word.replace(".1.", ".3.") for word in BATCH] + ["--purge", "two words"]


def test_beat_keeps_its_schedule_where_it_is_told(tmp_path):
    start = run(everything()["launch/beat.sh"], tmp_path, BEAT_SCHEDULE="/var/lib/my shop/schedule")
    assert start.arguments == [
        *("--app", "shop.celery_app:app", "beat"),
        *("--scheduler", "celery.beat:PersistentScheduler"),
        *("--schedule", "/var/lib/my shop/schedule", "--pidfile="),
        *("--max-interval", "300", "--loglevel", "INFO"),
    ]


def test_beat_keeps_its_schedule_beside_it_when_not_told(tmp_path):
    start = run(everything()["launch/beat.sh"], tmp_path)
    assert start.arguments[start.arguments.index("--schedule") + 1] == "celerybeat-schedule"


@pytest.mark.parametrize("missing", URLS)
@pytest.mark.parametrize("value", [{}, "empty"], ids=["unset", "empty"])
def test_a_script_without_a_url_says_which_and_starts_nothing(tmp_path, missing, value):
    script = tmp_path / "script.sh"
    script.write_text(everything()["launch/shop.batch.cpu.sh"].text, encoding="utf-8")
    celery = stand_in(tmp_path)
    environment = {"PATH": f"{celery.folder}:{os.defpath}", **URLS, missing: ""}
    if not value:
        del environment[missing]
    found = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert f"{missing}: must hold the URL of the" in found.stderr
    assert celery.starts() == []


def test_urls_in_the_workload_are_not_asked_for(tmp_path):
    plan = fleet(app={"broker_url_variable": None, "result_backend_variable": None})
    file = files(plan)["launch/shop.batch.cpu.sh"]
    assert "CELERY_BROKER_URL" not in file.text
    assert run(file, tmp_path).arguments == BATCH


def test_every_text_reaches_the_process_as_it_was_written(tmp_path):
    file = files(hostile_fleet())["launch/shop.batch.cpu.sh"]
    start = run(file, tmp_path)
    assert start.arguments == [*HOSTILE, "celery", *BATCH]
    assert {name: start.environment[name] for name in HOSTILE_ENVIRONMENT} == HOSTILE_ENVIRONMENT
    checked = subprocess.run([needs("dash"), "-n"], input=file.text, text=True, check=False)
    assert checked.returncode == 0


def test_a_description_of_two_lines_is_refused():
    with pytest.raises(ValueError, match="control character"):
        files(fleet({"description": "x\nrm -rf /"}))


def test_a_script_says_how_long_a_stop_takes_and_why():
    text = everything()["launch/shop.batch.cpu.sh"].text
    what = "# Worker shop.batch.cpu: batch tasks that compute (3 tasks)."
    assert f"{what} Stop with TERM and wait up to 2 h 24 min 30 s." in text
    assert "# test: the test says so" in text
    assert "# Beat runs on host app-1." in everything()["launch/beat.sh"].text


def test_a_procfile_names_each_script_once():
    lines = everything()["Procfile"].text.splitlines()
    assert "beat=1,shop-batch-cpu=1,shop-interactive-io=2" in lines[1]
    assert [line for line in lines if not line.startswith("#")] == [
        "beat: exec sh launch/beat.sh",
        "shop-batch-cpu: exec sh launch/shop.batch.cpu.sh",
        "shop-interactive-io: exec sh launch/shop.interactive.io.sh",
    ]


def test_names_that_a_procfile_cannot_tell_apart_are_numbered():
    text = files(fleet(more={"shop-batch.cpu": {}, "shop.batch-cpu": {}, "shop-batch-cpu-2": {}}))[
        "Procfile"
    ].text
    entries = re.findall(r"^([A-Za-z0-9_-]+): exec sh launch/(\S+)\.sh$", text, re.MULTILINE)
    assert entries == [
        ("shop-batch-cpu-2", "shop-batch-cpu-2"),
        ("shop-batch-cpu", "shop-batch.cpu"),
        ("shop-batch-cpu-3", "shop.batch-cpu"),
        ("shop-batch-cpu-4", "shop.batch.cpu"),
    ]


def test_a_script_shows_the_settings_of_its_own_worker():
    shown = everything()["launch/shop.batch.cpu.sh"].addresses
    assert "worker:shop.batch.cpu/concurrency" in shown
    assert "app/broker_url_variable" in shown
    assert not {address for address in shown if "interactive" in address or address.startswith("beat")}
    assert {key for _, key in everything()["Procfile"].settings} == {"replicas"}
