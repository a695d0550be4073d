"""Code compared with a plan: each finding fires where they differ, and not where they agree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from policycompiler.compiler import compile_workload
from policycompiler.verification import of_code

WORKLOAD = """\
version: 1
service: tried
app: tried
broker: {transport: redis, url: app}
celery: {settings: {task_track_started: true, worker_send_task_events: true, task_create_missing_queues: false}}
tasks:
  tried.a: {queue: one, retry: {on: [OSError], max: 2}, idempotent: true, runtime: 2s}
  tried.b: {queue: one, options: {rate_limit: 5/m}}
workers: {one: {queues: [one]}}
schedules: {often: {task: tried.b, every: 1h, args: [1]}}
"""
GOOD = """\
from celery import Celery
app = Celery("tried", broker="redis://127.0.0.1:1/0")
app.config_from_object("celeryconfig")
@app.task(name="tried.a")
def a(): pass
@app.task(name="tried.b")
def b(x): pass
"""
BAD = {
    # PC820
    "broker-differs": GOOD.replace("redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"),
    # PC857, PC821
    "task-undeclared": GOOD + "@app.task(name='tried.c')\ndef c(): pass\n",
    "task-queue-unknown": GOOD + "@app.task(name='tried.c', queue='nowhere')\ndef c(): pass\n",
    # PC856, PC823
    "task-unregistered": GOOD.replace('"tried.a"', '"tried.A"'),
    "schedule-task-unregistered": GOOD.replace('"tried.b"', '"tried.B"'),
    # PC824, PC825
    "decorator-beats-plan": GOOD.replace('name="tried.a"', 'name="tried.a", autoretry_for=(KeyError,)'),
    "decorator-contradicts-plan": GOOD.replace('name="tried.b"', 'name="tried.b", rate_limit="9/m"'),
    # PC826, PC827
    "setting-beaten": GOOD + "app.conf.task_track_started = False\n",
    "configuration-not-loaded": GOOD.replace('app.config_from_object("celeryconfig")\n', ""),
    # PC828
    "schedule-arguments-refused": GOOD.replace("def b(x)", "def b()"),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "workload.yaml").write_text(WORKLOAD, encoding="utf-8")
    made = compile_workload([folder / "workload.yaml"], targets=["celeryconfig"])
    assert made.plan is not None
    (folder / "celeryconfig.py").write_text(made.files[0].text, encoding="utf-8")
    return folder


def told(compiled: Path, folder: Path, text: str, monkeypatch, build: Path | None = None) -> dict[str, str]:
    (folder / "tried.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(compiled))
    plan = compile_workload([compiled / "workload.yaml"], targets=[]).plan
    assert plan is not None
    look = of_code(["tried"], sys.executable, build, folder=folder, django=False)
    return {each.name: each.message for each in look(plan) if each.code < "PC880"}  # later ones need no plan


def test_code_that_agrees_has_no_finding(compiled, tmp_path, monkeypatch):
    assert told(compiled, tmp_path, GOOD, monkeypatch, compiled) == {}


@pytest.mark.parametrize("finding", BAD)
def test_each_difference_is_a_finding(compiled, tmp_path, monkeypatch, finding):
    assert finding in told(compiled, tmp_path, BAD[finding], monkeypatch)


def test_settings_that_the_interpreter_cannot_load_are_a_finding(compiled, tmp_path, monkeypatch):
    build = tmp_path / "build"
    build.mkdir()
    text = (compiled / "celeryconfig.py").read_text("utf-8")
    (build / "celeryconfig.py").write_text(f"import nothing_like_this\n{text}", encoding="utf-8")
    found = told(compiled, tmp_path, GOOD, monkeypatch, build)  # PC829
    assert "nothing_like_this" in found["configuration-unimportable"]
