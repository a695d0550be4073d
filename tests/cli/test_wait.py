"""`policycompiler wait` and `act`: wrong use, steps that cannot be read, and what nobody can see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from policycompiler.cli import cli

WORKLOAD = """\
version: 1
service: shop
app: shop:app
owner: storefront
broker: {transport: %s, url: "${CELERY_BROKER_URL}"}
tasks: {shop.mail: {latency: standard, work: io, idempotent: true, runtime: 1s, rate: 1/s, result: ignore%s}}
"""


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, words, prog_name="policycompiler")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A workload that was compiled, with the rollout of a moved task."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)

    def compiled(transport: str = "redis") -> None:
        for name, queue in (("old", "mail"), ("new", "letters")):
            Path(f"{name}.yaml").write_text(WORKLOAD % (transport, f", queue: {queue}"), "utf-8")
        assert run("compile", "new.yaml", "--rollout", "old.yaml").exit_code == 0

    return compiled


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("wait", "9"), "build/rollout/steps.json has 4 steps, and no step 9"),
        (("wait", "0"), "and no step 0"),
        (("wait", "1", "mail"), "a step has its own queues and plans"),
        (("wait", "1", "--rollout", "elsewhere"), "no steps in `elsewhere`"),
        (
            ("wait", "empty", "mail"),
            "`empty` is neither a step nor one of drained, taken, workers, task-gone",
        ),
        (("wait", "drained"), "name one or more queues"),
        (("wait", "drained", "mial"), "the plan has no queue `mial`"),
        (("wait", "workers", "w"), "the plan runs no worker `w`; it runs `letters`, `shop.standard.io`"),
        (("wait", "task-gone"), "name the task"),
        (("wait", "task-gone", "shop.mial"), "the plan has no task `shop.mial`"),
        (("wait", "content-gone"), "name one or more content types"),
        (("wait", "drained", "letters", "--undo"), "--rollout and --undo belong to a step"),
        (("wait", "workers", "--plan", "nowhere"), "nowhere does not exist"),
        (("wait", "workers", "--timeout", "soon"), "not a duration"),
        (("wait", "workers", "--interval", "0s"), "must be more than 0"),
        (("act", "1"), "step 1 has no actions"),
        (("act", "first"), "not a valid integer"),
    ],
)
def test_wrong_use_says_what_was_found(project, words, told):
    project()
    done = run(*words)
    assert (done.exit_code, told in " ".join(done.stderr.split())) == (2, True), done.output


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"steps": {}}', '{"steps": [{"wait_for": [{"kind": "later"}]}]}', "\ud800", "\0"],
)
def test_steps_that_no_compile_wrote_are_refused(project, text):
    project()
    Path("build/rollout/steps.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    done = run("wait", "1")
    assert (done.exit_code, "has no steps that this version can follow" in done.stderr) == (2, True), done


@pytest.mark.parametrize("words", [("wait", "3"), ("wait", "workers"), ("wait", "drained", "letters")])
def test_without_an_address_a_wait_says_which_variable_is_missing(project, words):
    project()
    done = run(*words)
    told = "the broker cannot be asked: the environment variable CELERY_BROKER_URL is not set"
    assert (done.exit_code, done.stderr.startswith(told)) == (1, True), done.output


@pytest.mark.parametrize(
    "url", ["redis://u:hunter2@[", "nothing", "carrot://u:hunter2@h", "redis://u:hunter2@h:port/0", "://"]
)
def test_what_is_no_address_of_a_broker_is_told_without_a_password(project, url):
    project()
    done = run("wait", "drained", "letters", "--broker", url)
    assert (done.exit_code, done.stderr.startswith("the broker cannot be asked: ")) == (1, True), done.output
    assert "hunter2" not in done.output


def test_a_broadcast_has_no_queue_of_its_name_to_wait_for(project):
    project()
    text = Path("new.yaml").read_text("utf-8") + "queues: {letters: {broadcast: true}}\n"
    Path("news.yaml").write_text(text, "utf-8")
    done = run("wait", "drained", "letters", "--plan", "news.yaml")
    told = "each process has its own queue for broadcasts to `letters`"
    assert (done.exit_code, told in done.stderr) == (2, True), done.output


def test_where_no_command_can_see_it_a_person_is_told_what_to_look_for(project):
    project("sqs")
    step = next(
        number
        for number, step in enumerate(json.loads(Path("build/rollout/steps.json").read_text())["steps"], 1)
        if step["phase"] == "drain"
    )
    for words in (("wait", str(step)), ("wait", "drained", "letters"), ("wait", "workers")):
        done = run(*words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "no command can see this; check it yourself: " in done.stderr
