"""Rehearsals with real workers on real private brokers, and what is left of them: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from places import EXAMPLES
from processes import wait_until
from tools import needs

from policycompiler import compiler, rehearse
from policycompiler.rehearse import Application
from policycompiler.rehearse.processes import Stage

pytestmark = pytest.mark.server

HEAD = "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"


def compiled(folder: Path, text: str) -> compiler.Compilation:
    source = folder / "workload.yaml"
    source.write_text(HEAD + text, encoding="utf-8")
    return compiler.compile_workload([source], targets=["celeryconfig", "launch"])


def rehearsed(made: compiler.Compilation, real: Application | None = None, url: str | None = None):
    return rehearse.rehearse(made.plan, made.files, real, url)


def command(*words: str | Path, **more) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "policycompiler", "rehearse", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_a_deployment_with_dead_letters_is_rehearsed(tmp_path):
    needs("redis-server")
    text = "tasks: {tried.a: {queue: q, idempotent: true, runtime: 1s}}\nqueues: {q: {dead_letter: true}}\n"
    found = rehearsed(compiled(tmp_path, text))
    assert found.succeeded, found


def test_without_a_redis_guards_are_off(tmp_path, monkeypatch):
    """They have no store, and a probe has no arguments."""
    monkeypatch.setattr("policycompiler.rehearse.brokers.shutil.which", lambda _: None)
    text = (
        "dependencies: {bank: {rate: 5/s, breaker: {open_for: 10s}}}\n"
        "tasks: {tried.a: {queue: q, idempotency_key: id, calls: [bank], runtime: 1s}}\n"
    )
    found = rehearsed(compiled(tmp_path, text))
    assert found.succeeded, found
    assert found.guards == []
    assert any(
        "guards of tasks: they need `redis-server` and the package `redis`" in each for each in found.notes
    )


def test_each_way_of_the_shop_is_probed_and_nothing_is_left():
    needs("redis-server")
    process = command(EXAMPLES / "shop", "--output-format", "json")
    out, _ = process.communicate(timeout=120)
    found = json.loads(out)
    assert process.returncode == 0, found
    assert found["succeeded"] is True
    ran = {each["name"]: (each["worker"], each["limits"]) for each in found["probes"]}
    # As ROUTING.md of the example has it.
    assert ran["shop.search.reindex"] == ("search", [35, 42])
    assert ran["daily-sales"] == ("shop.batch.cpu", [3036, 3644])
    assert {each["latency"] for each in found["waits"]} == {"interactive", "standard"}
    assert all(each["ran"] == each["sent"] > 0 for each in found["waits"])
    assert found["left"] == 0


def test_without_redis_the_messages_are_files(tmp_path, monkeypatch):
    monkeypatch.setattr("policycompiler.rehearse.brokers.shutil.which", lambda _: None)
    found = rehearsed(compiled(tmp_path, "tasks: {tried.a: {queue: one}, tried.b: {queue: two}}\n"))
    assert found.succeeded, found
    assert found.broker == "kombu's file system transport"
    assert {each.task: each.worker for each in found.arrivals} == {"tried.a": "one", "tried.b": "two"}
    assert any("the plan is for Redis" in note for note in found.notes)


def test_workers_that_share_a_node_name_and_take_their_slots_from_a_variable(tmp_path, monkeypatch):
    monkeypatch.setattr("policycompiler.rehearse.brokers.shutil.which", lambda _: None)
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nextends: as-is\n", encoding="utf-8")
    source = tmp_path / "workload.yaml"
    source.write_text(
        HEAD + "tasks: {tried.a: {}, tried.b: {queue: two}}\n"
        "workers: {one: {queues: [celery], pool: threads}, "
        "two: {queues: [two], pool: threads, concurrency: '${TRIED_SLOTS}'}}\n",
        encoding="utf-8",
    )
    made = compiler.compile_workload([source], policy=policy, targets=["celeryconfig", "launch"])
    found = rehearsed(made)
    assert found.succeeded, found
    assert {each.task: each.worker for each in found.arrivals} == {"tried.a": "one", "tried.b": "two"}


def test_the_code_of_a_real_task_does_not_run(tmp_path):
    needs("redis-server")
    project = tmp_path / "project"
    (project / "tried").mkdir(parents=True)
    (project / "tried" / "__init__.py").touch()
    harm = tmp_path / "harm"
    (project / "tried" / "app.py").write_text(
        "from celery import Celery, shared_task\n"
        "app = Celery('tried')\napp.config_from_object('celeryconfig')\n"
        f"@shared_task(name='tried.a')\ndef a(): open({str(harm)!r}, 'w')\n"
        f"@shared_task(name='tried.b', bind=True, autoretry_for=(OSError,))\n"
        f"def b(self, x): open({str(harm)!r}, 'w')\n",
        encoding="utf-8",
    )
    made = compiled(
        tmp_path,
        "tasks: {tried.a: {}, tried.b: {}}\n"
        "schedules:\n  good: {task: tried.b, every: 1h, args: [1]}\n  bad: {task: tried.b, every: 1h}\n",
    )
    found = rehearsed(made, Application("tried.app", sys.executable, project))
    assert not harm.exists()
    problems = {each.name: each.problem for each in found.arrivals}
    assert problems["tried.a"] == problems["tried.b"] == problems["good"] == ""
    assert "missing 1 required positional argument: 'x'" in problems["bad"]


def test_a_worker_that_cannot_start_is_a_problem_and_no_hang(tmp_path):
    made = compiled(tmp_path, "tasks: {tried.a: {}}\n")
    found = rehearsed(made, Application("nowhere.app", sys.executable, tmp_path))
    assert not found.succeeded
    (problem,) = found.problems
    assert "did not start" in problem
    assert "No module named 'tried'" in problem
    assert "\n" not in problem
    assert any("`celery -A nowhere.app` finds the application" in each for each in found.notes)
    assert found.arrivals == []


def application(folder: Path, *lines: str) -> Application:
    """A real app with the task `tried.a`, and what else its module does."""
    (folder / "tried").mkdir()
    text = "from celery import Celery\napp = Celery('tried')\napp.config_from_object('celeryconfig')\n"
    text += "@app.task(name='tried.a')\ndef a(): pass\n" + "\n".join(lines)
    (folder / "tried/app.py").write_text(text, encoding="utf-8")
    return Application("tried.app", sys.executable, folder)


def test_each_worker_has_a_node_name_of_its_own_and_a_temporary_folder_that_ends(tmp_path):
    needs("redis-server")
    told = tmp_path / "told"
    real = application(
        tmp_path,
        "import tempfile",
        "from celery.signals import worker_init",
        "@worker_init.connect",
        "def say(sender, **_):",
        f"    with open({str(told)!r}, 'a') as file: file.write(sender.hostname + ' ' + tempfile.gettempdir() + '\\n')",
    )
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nextends: as-is\n", encoding="utf-8")
    source = tmp_path / "workload.yaml"
    source.write_text(
        HEAD + "tasks: {tried.a: {}}\n"
        "workers: {one: {queues: [celery], pool: threads, concurrency: 1}, "
        "two: {queues: [celery], pool: threads, concurrency: 1}}\n",
        encoding="utf-8",
    )
    made = compiler.compile_workload([source], policy=policy, targets=["celeryconfig", "launch"])
    found = rehearsed(made, real)
    assert found.succeeded, found
    names, folders = zip(*(line.split(" ") for line in told.read_text("utf-8").splitlines()), strict=True)
    assert sorted(names) == ["one@rehearsal", "two@rehearsal"]
    assert all("policycompiler-rehearsal-" in each for each in folders)
    assert not any(Path(each).exists() for each in folders)


def test_why_probes_were_not_sent_is_the_cause_and_no_line_of_source(tmp_path):
    needs("redis-server")
    real = application(
        tmp_path,
        "import sys",
        "def connect(number, password): raise RuntimeError('no route to the database')",
        "if sys.argv[0].endswith('driver.py'):",
        "    connect(",
        "        1,",
        "        password='hunter2')",
    )
    found = rehearsed(compiled(tmp_path, "tasks: {tried.a: {}}\n"), real)
    assert found.problems == ["the probes were not sent: RuntimeError: no route to the database"]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("True", "worker `tried.standard.io` did not start: the application did not load within 2 s"),
        ("sys.argv[0].endswith('driver.py')", "the application did not load to send the probes within 2 s"),
    ],
    ids=["worker", "driver"],
)
def test_an_application_that_never_finishes_loading_is_named(tmp_path, monkeypatch, condition, words):
    needs("redis-server")
    limit = "_READY_SECONDS" if condition == "True" else "_RUN_SECONDS"
    monkeypatch.setattr(rehearse, limit, 2.0)
    real = application(tmp_path, "import sys, time", f"while {condition}: time.sleep(1)")
    found = rehearsed(compiled(tmp_path, "tasks: {tried.a: {}}\n"), real)
    assert f"{words}; its log: it printed nothing" in found.problems


def test_all_phases_share_a_time_limit(tmp_path):
    stage = Stage(tmp_path, None, 50)
    assert stage.allowed(20) == 20
    assert 30 < stage.allowed(600, reserved=15) <= 35
    assert Stage(tmp_path, None, 0).allowed(20) == 0


def test_a_banner_is_no_cause_and_an_exception_is(tmp_path):
    stage = Stage(tmp_path, None, 50)
    log = tmp_path / "worker.log"
    banner = " -------------- a@b v5\n--- ***** ----- \n- ** ---------- [config]\n- *** --- * --- .> app: x\n"
    banner += " -------------- [queues]\n                .> one exchange=one(direct) key=one\n[tasks]\n  . tried.a\n"
    log.write_text(f"the real cause\n{banner}\n", encoding="utf-8")
    assert stage.log("worker") == "the real cause"
    log.write_text(banner, encoding="utf-8")
    assert stage.log("worker") == "it printed nothing"


def test_a_pattern_is_probed_with_a_task_of_its_own_and_an_unregistered_task_is_named(tmp_path):
    needs("redis-server")
    (tmp_path / "tried").mkdir()
    (tmp_path / "tried/app.py").write_text(
        "from celery import Celery\napp = Celery('tried')\napp.config_from_object('celeryconfig')\n"
        "def nothing(): pass\nfor name in ('tried.a', 'tried.b'):\n    app.task(nothing, name=name)\n",
        encoding="utf-8",
    )
    made = compiled(
        tmp_path,
        "tasks: {'tried.*': {}, tried.a: {}, tried.gone: {}}\n"
        "schedules: {a: {task: tried.a, every: 1h}, b: {task: tried.b, every: 1h}}\n",
    )
    found = rehearsed(made, Application("tried.app", sys.executable, tmp_path))
    problems = {each.task: each.problem for each in found.arrivals if each.kind == "route"}
    assert problems == {
        "tried.a": "",
        "tried.b": "",
        "tried.gone": "no worker has registered it: its message is discarded",
    }


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
def test_a_rehearsal_that_is_ended_leaves_nothing(tmp_path, number):
    needs("redis-server")
    there = tmp_path / "tmp"
    there.mkdir()
    process = command(EXAMPLES / "shop", env={**os.environ, "TMPDIR": str(there)})
    started: list[psutil.Process] = []

    def workers_run() -> bool:
        started[:] = psutil.Process(process.pid).children(recursive=True)
        # One that has just ended has no command any more.
        with suppress(psutil.Error):
            return any("worker" in " ".join(each.cmdline()) for each in started if each.is_running())
        return False

    wait_until(workers_run, "workers", seconds=60)
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_until(lambda: not any(each.is_running() for each in started), "the end of all", seconds=60)
    wait_until(lambda: not list(there.iterdir()), "an empty folder", seconds=60)
