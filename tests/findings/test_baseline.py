"""A baseline hides the findings it knows, wherever their lines go, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from workloads import workload

from policycompiler.cli import cli
from policycompiler.findings import baseline

TWO = """\
tasks:
  shop.pay: {retry: {on: [OSError], max: 3}, idempotent: false}
  shop.refund: {retry: {on: [OSError], max: 3}, idempotent: false}
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("workload.yaml").write_text(workload(TWO))
    result = run("baseline", "write", "workload.yaml")
    assert result.exit_code == 0
    assert result.stdout == ""
    return Path("policycompiler-baseline.json")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments])


def check(baseline: Path, *more: str) -> tuple[int, list[tuple[str, str]]]:
    result = run("check", "workload.yaml", "--baseline", str(baseline), "--output-format", "json", *more)
    found = json.loads(result.stdout)["findings"]
    return result.exit_code, [(each["name"], ".".join(map(str, each["path"]))) for each in found]


def test_it_holds_paths_and_findings_and_no_line(known):
    entries = json.loads(known.read_text())["findings"]
    assert [(each["finding"], each["at"]) for each in entries] == [
        ("PC204", "tasks.shop.pay.retry.max"),
        ("PC204", "tasks.shop.refund.retry.max"),
    ]


def test_it_hides_what_it_knows(known):
    assert check(known) == (0, [])


def test_lines_may_move(known):
    Path("workload.yaml").write_text("# one\n# two\n" + workload(TWO))
    assert check(known) == (0, [])


def test_what_is_new_is_shown(known):
    more = TWO + "  shop.void: {retry: {on: [OSError], max: 3}, idempotent: false}\n"
    Path("workload.yaml").write_text(workload(more))
    assert check(known) == (1, [("retry-non-idempotent", "tasks.shop.void.retry.max")])


def test_a_second_finding_at_a_known_path_is_new(known):
    doubled = TWO.replace(
        "shop.pay: {retry: {on: [OSError], max: 3}, ", "shop.pay: {options: {acks_late: true}, "
    )
    Path("workload.yaml").write_text(workload(doubled))
    code, found = check(known)
    assert code == 1
    assert found == [
        ("baseline-entry-gone", ""),
        ("late-ack-non-idempotent", "tasks.shop.pay.options.acks_late"),
    ]


def test_entries_that_are_gone_are_reported(known):
    Path("workload.yaml").write_text(workload(TWO.partition("  shop.refund")[0]))
    assert check(known) == (0, [("baseline-entry-gone", "")])
    assert check(known, "--fail-on", "info")[0] == 1


@pytest.mark.usefixtures("known")
def test_what_no_output_can_be_made_from_is_never_hidden():
    Path("workload.yaml").write_text(workload("tasks: {shop.a: {latncy: batch}}\n"))
    assert run("baseline", "write", "workload.yaml", "--output", "other.json").exit_code == 0
    assert json.loads(Path("other.json").read_text())["findings"] == []
    assert check(Path("other.json"))[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "findings": []}',
        '{"format": 1, "findings": [{"at": "x"}]}',
        '{"format": 1, "findings": [{"finding": "PC204", "at": "x", "count": 1e999}]}',
        "[" * 50_000,
        '"x"',
    ],
)
def test_what_is_no_baseline_is_wrong_use_and_nothing_is_looked_at(known, text):
    known.write_text(text)
    result = run("check", "workload.yaml", "--baseline", str(known))
    assert result.exit_code == 2
    assert "invalid-baseline" in result.stdout
    assert "retry-non-idempotent" not in result.stdout


@pytest.mark.usefixtures("known")
def test_a_baseline_that_is_no_file_or_far_too_large_is_wrong_use(known):
    os.mkfifo("pipe")
    with known.open("r+b") as file:
        file.truncate(baseline.LARGEST_BASELINE_BYTES + 1)
    for name, message in (
        ("/dev/zero", "cannot be read: it is a device, not a file"),
        ("pipe", "cannot be read: it is a pipe, not a file"),
        (known.name, "the baseline is larger than 16 MiB"),
    ):
        result = run("check", "workload.yaml", "--baseline", name)
        assert result.exit_code == 2
        assert f"{name}:1:1: error[PC742] invalid-baseline: {message}" in result.stdout


def test_a_baseline_that_is_not_there_is_wrong_use():
    result = run("check", "workload.yaml", "--baseline", "missing.json")
    assert result.exit_code == 2
    assert "missing.json:1:1: error[PC742] invalid-baseline: cannot be read: No such file" in result.stdout


def test_it_is_the_same_on_every_day(known):
    before = known.read_bytes()
    assert run("baseline", "write", "workload.yaml").exit_code == 0
    assert known.read_bytes() == before


LOCKED = "version: 1\nlocked: [retry-non-idempotent]\n"


@pytest.mark.parametrize("word", ["retry-non-idempotent", "PC204"])
def test_what_the_policy_file_locks_is_not_written(known, word):
    Path("policy.yaml").write_text(f"version: 1\nlocked: [{word}]\n")
    result = run("baseline", "write", "workload.yaml", "--policy", "policy.yaml")
    assert json.loads(known.read_text())["findings"] == []
    assert result.stderr.endswith("left out, because the policy file locks them: 2 findings\n")
    assert run("check", "workload.yaml", "--policy", "policy.yaml", "--baseline", str(known)).exit_code == 1


def test_an_older_baseline_does_not_hide_what_is_locked_since(known):
    Path("policy.yaml").write_text(LOCKED)
    result = run("check", "workload.yaml", "--policy", "policy.yaml", "--baseline", str(known))
    assert result.exit_code == 1
    assert result.stdout.count("the baseline cannot hide this finding: the policy file locks it") == 2
    assert "baseline-entry-gone" not in result.stdout


def test_the_baseline_of_the_project_does_not_empty_the_next_one(known):
    Path("policycompiler.toml").write_text(f'baseline = "{known}"\n')
    before = known.read_text()
    assert run("baseline", "write", "workload.yaml").exit_code == 0
    assert known.read_text() == before


def test_a_review_can_be_given_a_baseline(known):
    Path("old.yaml").write_text(workload(TWO))
    assert run("diff", "old.yaml", "workload.yaml").exit_code == 1
    found = run("diff", "old.yaml", "workload.yaml", "--baseline", str(known))
    assert found.exit_code == 0, found.output
