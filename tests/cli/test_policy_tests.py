"""`test-policy` holds a policy file against workloads with known findings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from places import EXAMPLES
from workloads import workload

from policycompiler.cli import cli

EXAMPLE = EXAMPLES / "platform" / "policy-tests.yaml"

POLICY = """\
version: 1
custom:
  - {name: not-so-long, severity: warning, when: task.runtime_p99_seconds > 60, message: too long}
"""
HEAD = "version: 1\npolicy: policy.yaml\ncases:\n"


def run(text: str) -> Result:
    Path("tests.yaml").write_text(text)
    return CliRunner().invoke(cli, ["test-policy", "tests.yaml"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)
    Path("short.yaml").write_text(workload("tasks: {shop.a: {runtime: 1s}}"))
    Path("long.yaml").write_text(workload("tasks: {shop.a: {runtime: 2m}, shop.b: {runtime: 5m}}"))


def test_the_example_holds():
    result = CliRunner().invoke(cli, ["test-policy", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    assert result.output.endswith("3 passed, 0 failed\n")


def test_every_finding_must_be_expected_and_every_expected_one_found():
    result = run(
        HEAD
        + "- {name: nothing, workload: short.yaml}\n"
        + "- {name: all, workload: [long.yaml], expect: "
        + "[{finding: not-so-long, at: tasks.shop.a}, "
        + "{finding: not-so-long, at: tasks.shop.*, severity: warning}]}\n"
        + "- {name: one is missing, workload: short.yaml, expect: [{finding: not-so-long}]}\n"
        + "- {name: one too many, workload: long.yaml, expect: [{finding: not-so-long, at: tasks.shop.b}]}\n"
        + "- {name: milder, workload: long.yaml, expect: [{finding: not-so-long, severity: error}]}\n"
    )
    assert result.exit_code == 1
    assert result.output == (
        "passed: nothing\n"
        "passed: all\n"
        "failed: one is missing\n"
        "  not found: not-so-long\n"
        "failed: one too many\n"
        "  not expected: warning not-so-long at tasks.shop.a: shop.a: too long\n"
        "failed: milder\n"
        "  not found: error not-so-long\n"
        "  not expected: warning not-so-long at tasks.shop.a: shop.a: too long\n"
        "  not expected: warning not-so-long at tasks.shop.b: shop.b: too long\n"
        "2 passed, 3 failed\n"
    )


def test_waivers_are_held_against_the_day_of_the_case():
    waiver = "{finding: not-so-long, at: tasks.*, reason: r, owner: x, expires: 2026-01-31}"
    text = workload(f"tasks: {{shop.a: {{runtime: 2m}}}}\nwaivers: [{waiver}]")
    Path("waived.yaml").write_text(text)
    result = run(
        HEAD
        + "- {name: in time, workload: waived.yaml, today: 2026-01-31, "
        + "expect: [{finding: not-so-long, waived: true}]}\n"
        + "- {name: too late, workload: waived.yaml, today: 2026-02-01, expect: [{finding: not-so-long}]}\n"
    )
    assert result.output == "passed: in time\npassed: too late\n2 passed, 0 failed\n"


def test_a_workload_that_is_not_there_fails_its_case():
    Path("empty").mkdir()
    result = run(HEAD + "- {name: gone, workload: gone.yaml}\n- {name: empty, workload: empty}\n")
    assert result.exit_code == 1
    assert result.output.endswith("0 passed, 2 failed\n")
    assert "  no workload found at empty\n" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\npolicy: policy.yaml\ncases: []\n", "invalid-value"),
        ("version: 1\ncases: [{name: x, workload: y}]\n", "`policy` is missing"),
        (HEAD + "- {name: x, workload: y, expct: []}\n", "did you mean `expect`?"),
        (HEAD + "- {name: x, workload: y, today: now}\n", "write a valid date such as 2027-03-31"),
        ("[", "invalid-yaml"),
    ],
)
def test_a_file_that_is_no_test_is_wrong_use(text, words):
    result = run(text)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_policy_file_that_cannot_be_read_is_wrong_use():
    Path("policy.yaml").write_text("version: 1\nextends: lax\n")
    result = run(HEAD + "- {name: x, workload: short.yaml}\n")
    assert result.exit_code == 2
    assert "policy.yaml:2:10: error[PC104] invalid-value" in result.stderr
