"""`policycompiler load`: wrong use, and what it prints without sending anything."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from places import PACKAGE

from policycompiler.cli import cli
from policycompiler.rehearse import scenery

HEAD = "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"
RUNNING = ("--running", "--broker", "redis://:hunter2@127.0.0.1:1/0")


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, ["load", *words], prog_name="policycompiler")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIED_BROKER", raising=False)
    Path("w.yaml").write_text(f"{HEAD}tasks: {{tried.a: {{queue: q, runtime: 1s, rate: 1/s}}}}\n", "utf-8")
    Path("bare.yaml").write_text(f"{HEAD}tasks: {{tried.a: {{queue: q}}}}\n", "utf-8")
    Path("zero.yaml").write_text(f"{HEAD}tasks: {{tried.a: {{queue: q, runtime: 1s, rate: 0/s}}}}\n", "utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("w.yaml", "--duration", "2h"), "2 h is not between 1 s and 1 h"),
        (("w.yaml", "--duration", "10ms"), "0.01 s is not between 1 s and 1 h"),
        (("w.yaml", "--duration", "soon"), "--duration"),
        (("w.yaml", "--most", "0"), "--most"),
        (("w.yaml", "--rate-factor", "0"), "is not a number above 0"),
        (("w.yaml", "--rate-factor", "nan"), "is not a number above 0"),
        (("w.yaml", "--queue", "nowhere"), "no worker of the plan consumes `nowhere`; it consumes `q`"),
        (("w.yaml", "--running", "--app", "x"), "--running starts nothing, so it takes no --app"),
        (("w.yaml", "--running", "--most-slots", "3"), "so it takes no --most-slots"),
        (
            ("w.yaml", "--management", "http://x"),
            "--running is missing: without it, there is no --management",
        ),
        (("w.yaml", "--beside-other-work"), "without it, there is no --beside-other-work"),
        (("bare.yaml",), "declare the rate and the run time of tasks, such as tasks.tried.a.rate"),
        (("w.yaml", "--running"), "TRIED_BROKER is not set"),
        (("w.yaml", *RUNNING), "127.0.0.1:1: "),
        (("w.yaml", "--running", "--broker", "amqp://u:hunter2@h//"), "not a URL of Redis"),
    ],
)
def test_wrong_use_is_said_in_words(words: tuple[str, ...], said: str):
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "hunter2" not in done.output


def test_without_sources_nothing_is_done():
    assert run("nowhere").exit_code in (1, 3)


def test_a_workload_with_errors_shows_them():
    Path("w.yaml").write_text(f"{HEAD}tasks: {{tried.a: {{rte: 1/s}}}}\n", "utf-8")
    done = run("w.yaml", "--output-format", "json")
    assert done.exit_code == 1
    assert "rte" in done.output


def test_sqs_cannot_show_what_runs():
    Path("w.yaml").write_text(
        "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: sqs, url: 'sqs://'}\n"
        "tasks: {tried.a: {queue: q, runtime: 1s, rate: 1/s}}\n",
        "utf-8",
    )
    done = run("w.yaml", "--running")
    assert done.exit_code == 2, done.output
    assert "only RabbitMQ and Redis" in " ".join(done.stderr.split())


def test_the_module_is_printed_as_shipped_and_old_interpreters_read_it():
    printed = run("--print-module").stdout
    assert printed == (PACKAGE / "runtime/stand_ins.py").read_text("utf-8")
    ast.parse(printed, feature_version=(3, 9))


@pytest.mark.parametrize(
    ("asked", "app", "run_as"),
    [
        ("tried.app:app", "nope.mod:app", "nope.mod:app"),
        ("tried.app:app", "it's $HOME:app", "it's $HOME:app"),
        ("tried.app:app", "tried.app:app", "tried.app:app"),
        # A worker with an app of its own keeps it.
        ("other.app:app", "nope.mod:app", "other.app:app"),
    ],
)
def test_the_workers_load_the_given_app(tmp_path: Path, asked: str, app: str, run_as: str):
    script = tmp_path / "celery"
    script.write_text(scenery.celery_script("/bin/echo", "tried.app:app", app), "utf-8")
    words = ["sh", str(script), "--app", asked, "worker", "--queues", "a b"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == f"-m celery --app {run_as} worker --queues a b\n"
