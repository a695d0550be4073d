"""The help of each command: whole summaries, and examples that work."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from places import EXAMPLES

from policycompiler.cli import COMMANDS, cli, command

NESTED = ("baseline write", *(f"dead-letters {each}" for each in ("list", "show", "replay", "drop")))
RUNNING = ("act", "dead-letters", "wait")
"""Commands about a deployment that runs; here none does."""


def help_of(name: str) -> str:
    return CliRunner().invoke(cli, [*name.split(), "--help"], prog_name="policycompiler").stdout


def examples() -> Iterator[str]:
    for name in ("", *COMMANDS, *NESTED):
        found = re.findall(r"^ +policycompiler (.+)$", help_of(name), re.MULTILINE)
        assert found, f"the help of `{name}` has no example"
        assert all(each.startswith(name.removesuffix(" write")) for each in found)
        yield from found


@pytest.fixture
def project(tmp_path, monkeypatch) -> None:
    """A repository with the example shop as `workloads`, its policy file, and what was compiled from it."""
    folder = tmp_path / "platform"
    shutil.copytree(EXAMPLES / "platform", folder)
    # The policy tests of the example name the shop beside them.
    for copy in (tmp_path / "shop", folder / "workloads"):
        shutil.copytree(EXAMPLES / "shop", copy)
    # The app that some examples look at, in an environment of its own.
    shutil.copytree(EXAMPLES / "shop" / "shop", folder / "shop")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (folder / ".venv/bin/python").chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(folder / "build"))
    for variable in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(variable, "redis://127.0.0.1:1/0")
    monkeypatch.chdir(folder)
    identity = ["-c", "user.name=shop", "-c", "user.email=shop@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "shop"]):
        subprocess.run(["git", *arguments], check=True)
    assert CliRunner().invoke(cli, ["compile", "workloads"]).exit_code == 0


LIVE = {each for each in examples() if each.startswith("status") or "--live" in each}
MEASURED = {each for each in examples() if "--measured http" in each}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("example", sorted(each for each in LIVE if "--watch" not in each))
def test_an_example_that_looks_at_a_deployment_says_that_there_is_none(example, monkeypatch):
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    words = [
        "--broker=redis://127.0.0.1:1/0" if word.startswith("redis:") else word
        for word in shlex.split(example)
    ]
    words = [word for word in words if word != "--broker"]
    done = CliRunner(catch_exceptions=False).invoke(cli, words, prog_name="policycompiler")
    assert (done.exit_code, "PC840" in done.output) == (1, True), done.output


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("example", sorted(MEASURED))
def test_an_example_that_asks_prometheus_says_that_there_is_none(example):
    assert "http://prometheus:9090" in example
    words = shlex.split(example.replace("http://prometheus:9090", "http://127.0.0.1:1"))
    done = CliRunner(catch_exceptions=False).invoke(cli, words, prog_name="policycompiler")
    assert (done.exit_code, "does not answer" in done.stderr) == (1, True), done.output


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("example", sorted(set(examples()) - LIVE - MEASURED))
def test_an_example_does_what_its_help_says(example):
    done = CliRunner(catch_exceptions=False).invoke(cli, shlex.split(example), prog_name="policycompiler")
    if example.startswith(RUNNING) or "--running" in example:
        missing = (
            r"no steps in|has no queue|no queue of the plan keeps|the broker cannot be asked|127.0.0.1:1: "
        )
        assert (done.exit_code in (1, 2), bool(re.search(missing, done.stderr))) == (True, True), done.output
        return
    assert (done.exit_code, done.output == "") == (0, False), done.output


def test_the_root_shows_whole_summaries():
    told = " ".join(help_of("").split())
    for name in COMMANDS:
        each = command(name)
        assert isinstance(each, click.Command)
        first = " ".join(str(each.help).split("\n\n")[0].split()).partition(". ")[0]
        assert f"{name} {first.removesuffix('.')}" in told
