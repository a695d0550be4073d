"""`policycompiler import` as its users run it: what it writes, what it refuses, and what it says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from places import APPS

from policycompiler.cli import cli

AUDIT = {"results-discarded", "startup-retry-unset", "task-name-implicit", "tasks-without-limit"}
"""What the smallest application does wrong by itself."""


def run(*words: str | Path) -> Result:
    return CliRunner(catch_exceptions=False).invoke(
        cli, [str(word) for word in words], prog_name="policycompiler"
    )


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def application(folder: Path, text: str) -> None:
    (folder / "tried.py").write_text(f"from celery import Celery\n{text}", encoding="utf-8")


def test_what_is_written_compiles_from_its_own_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(APPS / "courier")
    done = run("import", "-A", "courier.app", "--commands", "Procfile", "-o", tmp_path / "today")
    assert done.exit_code == 0, done.output
    assert "next: cd" in done.stderr
    assert "courier" not in sys.modules
    monkeypatch.chdir(tmp_path / "today")
    assert run("compile").exit_code == 0
    assert (tmp_path / "today/build/launch/audit.sh").exists()


def test_a_report_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(APPS / "studio")
    before = sorted(tmp_path.rglob("*"))
    words = ("import", "-A", "studio.primary", "--source", ".", "--report-only", "-o", tmp_path / "today")
    done = run(*words, "--output-format", "json")
    found = json.loads(done.stdout)["findings"]
    assert "startup-retry-unset" in {each["name"] for each in found}
    assert all(Path(each["file"]).is_file() for each in found), found
    # Nobody has looked for the workers.
    assert "queue-unconsumed" not in {each["name"] for each in found}
    assert "name the files with --commands" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_application_elsewhere_with_an_interpreter_named_from_here(folder):
    (folder / "code").mkdir()
    application(folder / "code", "app = Celery('tried', broker='memory://')\n@app.task\ndef a(): pass\n")
    python = os.path.relpath(sys.executable)
    words = ("-A", "tried", "--workdir", "code", "--python", python, "--source", "code")
    done = run("import", *words)
    assert done.exit_code == 0, done.output
    assert "found 1 task, 1 queue" in done.stderr
    text = (folder / "adopted/workloads/tasks.yaml").read_text("utf-8")
    assert "# tried.py:3" in text
    compiled = run("compile", "adopted/workloads", "--policy", "adopted/policy.yaml")
    assert compiled.exit_code == 0
    verified = run("verify", "build", *words, "--output-format", "json")
    assert {each["name"] for each in json.loads(verified.stdout)["findings"]} <= {
        "configuration-not-loaded"
    } | AUDIT


def test_commands_alone_are_a_report_and_no_workload(folder):
    (folder / "start.sh").write_text("celery -A shop worker -Q a\ncelery worker -A old\n", encoding="utf-8")
    done = run("import", "--commands", "start.sh", "--report-only")
    assert done.exit_code == 0
    assert "start.sh:2: a command (`-A` stands after `worker`;" in done.stderr
    refused = run("import", "--commands", "start.sh")
    assert (refused.exit_code, "name the app with --app" in refused.stderr) == (2, True)
    assert not (folder / "adopted").exists()


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("'kafka://localhost:9092'", "does not know brokers at kafka://"),
        ("'sqla+sqlite:///x.db'", "does not know brokers at sqla+sqlite://"),
    ],
)
def test_a_broker_that_the_language_does_not_know_is_named(folder, broker, said):
    application(folder, f"app = Celery('tried', broker={broker})\n")
    refused = run("import", "-A", "tried")
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output


def test_without_a_broker_url_celery_uses_rabbitmq(folder):
    application(folder, "app = Celery('tried')\n@app.task(name='a')\ndef a(): pass\n")
    assert run("import", "-A", "tried").exit_code == 0
    assert "transport: rabbitmq" in (folder / "adopted/workloads/app.yaml").read_text("utf-8")


def test_apps_with_several_brokers_are_said(folder):
    application(folder, "app = Celery('tried', broker='memory://')\n")
    (folder / "other.py").write_text(
        "from celery import Celery\napp = Celery('other', broker='redis://h/0')\n"
    )
    done = run("import", "-A", "tried", "-A", "other")
    assert "the broker of other (it is at redis://; that of `tried` is at memory://" in done.stderr


def test_an_existing_folder_is_never_overwritten(folder):
    application(folder, "app = Celery('tried', broker='memory://')\n")
    (folder / "adopted").mkdir()
    (folder / "adopted/mine").touch()
    refused = run("import", "-A", "tried")
    assert (refused.exit_code, "adopted exists already" in refused.stderr) == (2, True)
    assert [path.name for path in (folder / "adopted").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name at least one of --app"),
        (("-A", "nowhere"), "No module named 'nowhere'"),
        (("-A", "tried:make"), "is a function, not a Celery app"),
        (("-A", "tried", "--python", "nowhere/python"), "nowhere/python: No such file or directory"),
        (("-A", "tried", "--measured", "tried.py"), "tried.py"),
        (("-A", "tried", "-o", "tried.py"), "is a file"),
        (("-A", "tried", "--service", "x y/../z"), "a service name has 1 to 31 lowercase letters"),
    ],
)
def test_wrong_use_is_one_sentence(folder, words, said):
    application(folder, "def make(): pass\napp = Celery('tried', broker='memory://')\n")
    refused = run("import", *words)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output


def test_a_schedule_that_the_language_refuses_is_left_out_whole(folder):
    application(
        folder,
        "app = Celery('tried', broker='memory://')\n@app.task(name='ok')\ndef ok(*args): pass\n"
        "app.conf.beat_schedule = {'good': {'task': 'ok', 'schedule': 60},\n"
        " **{f'bad{n}': {'task': 'ok', 'schedule': 60, 'args': [bad]}\n"
        "    for n, bad in enumerate((float('nan'), float('inf'), 10**29))},\n"
        " 'backward': {'task': 'ok', 'schedule': -3}}\n",
    )
    done = run("import", "-A", "tried")
    assert done.exit_code == 0, done.output
    assert run("check", "adopted/workloads", "--policy", "adopted/policy.yaml").exit_code == 0
    text = (folder / "adopted/workloads/schedules.yaml").read_text("utf-8")
    assert [name for name in ("good", "bad", "backward") if f"{name}" in text] == ["good"]
    left = (folder / "adopted/not-in-the-workload.txt").read_text("utf-8")
    assert [name for name in ("bad0", "bad1", "bad2", "backward") if name not in left] == []


def test_text_of_the_application_never_breaks_out_of_the_yaml(folder):
    odd = "a: b # c \\\\ { d"
    application(
        folder,
        "app = Celery('tried', broker='memory://')\n"
        f"@app.task(name='ok', rate_limit='5/m')\ndef ok(): pass\n"
        f"app.conf.beat_schedule = {{'odd': {{'task': 'ok', 'schedule': 60, 'kwargs': {{'{odd}': '{odd}'}}}},\n"
        " 'u2028': {'task': 'ok', 'schedule': 60, 'args': ['a\\u2028- b']},\n"
        " 'a\\n- b': {'task': 'ok', 'schedule': 60},\n"
        " 'yes': {'task': 'ok', 'schedule': 60, 'args': ['1e3', 'no', '0o17', '', ' x', '*a', '&b', '{c}']}}\n",
    )
    done = run("import", "-A", "tried")
    assert done.exit_code == 0, done.output
    assert run("check", "adopted/workloads", "--policy", "adopted/policy.yaml").exit_code == 0
    text = (folder / "adopted/workloads/schedules.yaml").read_text("utf-8")
    assert "u2028" not in text
    assert "schedule:u2028 (it has texts or numbers that YAML does not carry)" in done.stderr
    assert "\n- b" not in text


def test_five_hundred_tasks_and_schedules_are_adopted(folder):
    """How long it takes is measured in `make bench`."""
    application(
        folder,
        "app = Celery('tried', broker='memory://')\n"
        "def nothing(): pass\n"
        "for number in range(500):\n"
        "    app.task(nothing, name=f'tried.t{number:03}', max_retries=number)\n"
        "    app.conf.beat_schedule[f's{number:03}'] = {'task': f'tried.t{number:03}', 'schedule': 60 + number}\n",
    )
    done = run("import", "-A", "tried", "-q")
    assert done.exit_code == 0, done.output
    assert (folder / "adopted/workloads/tasks.yaml").read_text("utf-8").count("max_retries") == 499
