"""What docs/review.md and the README say about reviews is what a review says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from places import ROOT
from review_of import reviewed
from workloads import workload

from policycompiler.cli import cli

COMMANDS = ROOT / "docs" / "commands.md"
PAGE = ROOT / "docs" / "review.md"
REVIEWS = PAGE.read_text()
HEAD = "version: 1\nservice: shop\napp: shop.celery_app:app\nowner: shop\n"
RABBITMQ = 'broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "4.1"}\n'
REDIS = 'broker: {transport: redis, url: "${CELERY_BROKER_URL}"}\n'


def test_the_review_on_the_page_of_commands_is_what_diff_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policycompiler.toml").write_text('sources = ["workloads"]\n')
    Path("workloads").mkdir()
    task = "tasks:\n  shop.mail.send: {idempotent: true, runtime: 2s%s}\n"
    Path("workloads/shop.yaml").write_text(HEAD + REDIS + task % "")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    commands = (
        ("init", "--quiet"),
        ("add", "."),
        (*identity, "commit", "-qm", "a"),
        ("branch", "-M", "main"),
    )
    for command in commands:
        subprocess.run(["git", *command], check=True)
    Path("workloads/shop.yaml").write_text(HEAD + REDIS + task % ", expires: 10m")
    text = COMMANDS.read_text("utf-8")
    before, prompt, rest = text.partition("$ policycompiler diff")
    console, end, after = rest.partition("```")
    command, _, shown = console.partition("\n")
    printed = CliRunner().invoke(cli, ["diff", *shlex.split(command)])
    if request.config.getoption("--update-golden"):
        shown = printed.output
        COMMANDS.write_text(f"{before}{prompt}{command}\n{shown}{end}{after}", "utf-8")
    assert printed.output == shown, "run `make docs`"


def test_the_rollout_of_the_review_page_is_what_diff_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, queue in {"old": "mail", "new": "letters"}.items():
        task = f"tasks:\n  shop.mail.send: {{queue: {queue}, idempotent: true, runtime: 2s}}\n"
        Path(f"{name}.yaml").write_text(HEAD + RABBITMQ + task)
        assert f"{{queue: {queue}}}" in REVIEWS
    printed = CliRunner().invoke(cli, ["diff", "old.yaml", "new.yaml"])
    before, fence, rest = REVIEWS.partition("```text\n")
    shown, end, after = rest.partition("```")
    if request.config.getoption("--update-golden"):
        PAGE.write_text(before + fence + printed.output + end + after, encoding="utf-8")
        shown = printed.output
    assert printed.output == shown, "run `make docs`"


NIGHTLY = "tasks: {shop.a: {}}\nschedules: {n: {task: shop.a, cron: 0 %s * * *}}\n"
CLASSES = {
    "a worker gets more slots": (
        "safe",
        "tasks: {shop.a: {queue: q}}\nworkers: {w: {queues: [q], concurrency: 2}}\n",
        "tasks: {shop.a: {queue: q}}\nworkers: {w: {queues: [q], concurrency: 4}}\n",
    ),
    "a task moves to a queue that no worker consumes yet": (
        "ordered",
        "tasks: {shop.a: {queue: q}}\n",
        "tasks: {shop.a: {queue: r}}\n",
    ),
    "a nightly job that is not safe to run twice gets another time": ("manual", NIGHTLY % 3, NIGHTLY % 4),
    "a task is now acknowledged early": (
        "lossy",
        "tasks: {shop.a: {idempotent: true}}\n",
        "tasks: {shop.a: {idempotent: false}}\n",
    ),
    "messages get an expiry": ("lossy", "tasks: {shop.a: {}}\n", "tasks: {shop.a: {expires: 10m}}\n"),
}
"""What the review page gives as examples: the class, and both sides."""


def test_every_example_of_a_class_is_shown_below() -> None:
    shown = re.findall(r"(?m)^\| `(safe|ordered|manual|lossy)` \| [^|]+ \| ([^|]+) \|$", REVIEWS)
    told = {example: risk for risk, examples in shown for example in examples.split("; ")}
    assert told == {example: risk for example, (risk, _, _) in CLASSES.items()}


@pytest.mark.parametrize("example", CLASSES)
def test_a_change_has_the_class_that_the_review_page_gives_it(example: str) -> None:
    risk, old, new = CLASSES[example]
    assert reviewed(old, new).verdict == risk


def test_the_acknowledgement_of_the_review_page_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    policy, waiver = re.findall(r"```yaml\n(.*?)```", REVIEWS, re.DOTALL)
    Path("policy.yaml").write_text(policy)
    old = workload("tasks: {shop.mail.send: {}}\n")
    new = workload("tasks: {shop.mail.send: {expires: 10m}}\n")
    Path("old.yaml").write_text(old)
    Path("new.yaml").write_text(new)
    arguments = ["diff", "old.yaml", "new.yaml", "--policy", "policy.yaml", "--today", "2026-11-21"]
    assert CliRunner().invoke(cli, arguments).exit_code == 1
    Path("new.yaml").write_text(new + waiver)
    assert CliRunner().invoke(cli, [*arguments, "--exit-code"]).exit_code == 0
