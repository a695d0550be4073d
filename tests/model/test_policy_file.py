"""The policy file: what it may say, what it changes, and what is said about one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from places import ROOT
from workloads import workload

from policycompiler import policies
from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.load import load_one
from policycompiler.plan import Parameter, Scope

EXAMPLE = ROOT / "examples" / "platform" / "policy.yaml"
SCHEMA = ROOT / "schemas" / "policy.schema.json"

WRONG = {
    "extends: lax": ["2:10 PC104 invalid-value: found `lax`; allowed: as-is, minimal, standard, strict"],
    "extend: strict": ["2:1 PC101 unknown-key: unknown key `extend`"],
    "celery: new": ['2:9 PC104 invalid-value: write a range of versions such as ">=5.5" or ">=5.5,<5.8"'],
    "latency_classes: {slow: {queue_wait_p99: 1h}}": [
        "2:19 PC102 missing-key: `runtime_p99_limit` is missing; `slow` is not a built-in class"
    ],
    "latency_classes: {batch: {queue_wait_p99: soon}}": ["2:43 PC104 invalid-value: not a duration"],
    "parameters: {time-limit: {hard_over_soft: 2}}": [
        "2:14 PC705 untunable-policy: no policy `time-limit` has parameters"
    ],
    "parameters: {time-limits: {hard_over_sofd: 2}}": [
        "2:28 PC101 unknown-key: unknown key `hard_over_sofd`"
    ],
    "parameters: {time-limits: {hard_over_soft: 0.5}}": [
        "2:44 PC104 invalid-value: the value must be at least 1"
    ],
    "parameters: {time-limits: {hard_over_soft: much}}": [
        "2:44 PC103 wrong-type: expected a number, found text"
    ],
    "severities: {retry-non-idempotant: warning}": [
        "2:14 PC703 unknown-finding: finding `retry-non-idempotant` does not exist"
    ],
    "severities: {PC204: fatal}": [
        "2:21 PC104 invalid-value: found `fatal`; allowed: error, warning, info, off"
    ],
    "severities: {unknown-key: warning}": [
        "2:14 PC704 severity-fixed: `unknown-key` prevents output, so it is always an error"
    ],
    "severities: {PC101: off}": ["2:14 PC704 severity-fixed"],
    "locked: [nonsense]": ["2:10 PC703 unknown-finding: finding `nonsense` does not exist"],
    "targets: [celeryconf]": ["2:11 PC708 unknown-target: target `celeryconf` does not exist"],
    "owners: [A B]": ["2:10 PC104 invalid-value"],
    "waivers: {longest: ever}": ["2:20 PC104 invalid-value: not a duration"],
    "custom: [{name: x, severity: error, when: task.critical}]": [
        "2:10 PC102 missing-key: `message` is missing"
    ],
    "custom: [{name: x, severity: bad, when: task.critical, message: m}]": [
        "2:30 PC104 invalid-value: found `bad`; allowed: error, warning, info"
    ],
    "locked: &a [*a]": ["2:13 PC"],
    "[": ["3:1 PC002 invalid-yaml"],
    "extends: strict\nextends: minimal": ["3:1 PC003 duplicate-key"],
    "owners: [me]\nservice_token: hunter2": ["3:1 PC109 secret-value"],
}
"""What stands below `version: 1`, and what is said about it."""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("workload.yaml").write_text(
        workload("tasks: {shop.a: {runtime: 10s, retry: {on: [OSError], max: 3}}}\n")
    )


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_with_it_is_said_and_nothing_else_is_looked_at(text, expected):
    Path("policy.yaml").write_text(f"version: 1\n{text}\n")
    result = run("check", "workload.yaml", "--policy", "policy.yaml", "--output-format", "concise")
    lines = result.stdout.splitlines()[:-1]
    assert result.exit_code == 2
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        place, code, message = [*words.split(" ", 2), ""][:3]
        assert line.startswith(f"policy.yaml:{place}: error[{code}"), line
        assert message in line
    assert "hunter2" not in result.stdout


def test_one_that_is_not_there_is_wrong_use():
    result = run("check", "workload.yaml", "--policy", "missing.yaml")
    assert result.exit_code == 2
    assert "missing.yaml:1:1: error[PC001] unreadable-file" in result.stdout


def test_every_wrong_thing_is_said_in_one_run():
    Path("policy.yaml").write_text("version: 1\nextends: lax\nowners: 3\nlocked: {}\n")
    result = run("check", "workload.yaml", "--policy", "policy.yaml", "--output-format", "concise")
    assert len(result.stdout.splitlines()) == 4


def test_what_it_sets_reaches_the_plan_and_is_explained_from_its_line():
    Path("policy.yaml").write_text(
        "version: 1\nextends: minimal\nseverities: {PC204: off}\n"
        "parameters:\n  time-limits:\n    soft_over_p99: 3\n"
    )
    plan = compile_workload([Path("workload.yaml")], policy=Path("policy.yaml"), targets=()).plan
    assert plan is not None
    setting = plan.setting(Scope("task", "shop.a"), "options.soft_time_limit")
    assert setting.value == 30
    assert Parameter(("parameters", "time-limits", "soft_over_p99"), 3) in setting.origins
    said = run("explain", "workload.yaml", "task:shop.a/soft_time_limit", "--policy", "policy.yaml")
    assert "parameter time-limits.soft_over_p99 = 3" in said.stdout
    assert "policy.yaml:6:20" in said.stdout
    by_default = run("explain", "workload.yaml", "task:shop.a/soft_time_limit")
    assert by_default.exit_code == 0
    Path("policy.yaml").write_text("version: 1\nseverities: {PC204: off}\n")
    by_default = run("explain", "workload.yaml", "task:shop.a/soft_time_limit", "--policy", "policy.yaml")
    assert "parameter time-limits.killed_healthy_runs = 0.0001" in by_default.stdout
    assert "built in" in by_default.stdout


def test_its_latency_classes_are_promises_and_the_built_in_ones_stay():
    Path("policy.yaml").write_text(
        "version: 1\nlatency_classes:\n  realtime: {queue_wait_p99: 200ms, runtime_p99_limit: 1s}\n"
        "  batch: {queue_wait_p99: 1h}\n"
    )
    Path("workload.yaml").write_text(
        workload(
            "tasks: {shop.a: {latency: realtime}, shop.b: {latency: batch}, shop.c: {latency: interactive}}\n"
        )
    )
    compilation = compile_workload([Path("workload.yaml")], policy=Path("policy.yaml"), targets=())
    assert not compilation.failed, compilation.diagnostics
    assert compilation.plan is not None
    waits = {
        scope.name: compilation.plan.value(scope, "queue_wait_seconds")
        for scope in compilation.plan.scopes("queue")
    }
    assert waits == {"shop.batch.io": 3600, "shop.interactive.io": 1, "shop.realtime.io": 0.2}


def test_its_targets_are_made_unless_the_command_line_names_others():
    Path("policy.yaml").write_text("version: 1\nseverities: {PC204: off}\ntargets: [routing]\n")
    common = ("compile", "workload.yaml", "--policy", "policy.yaml", "--force")
    assert run(*common, "-o", "one").exit_code == 0
    assert {path.name for path in Path("one").iterdir()} == {
        "ROUTING.md",
        "routing.json",
        "plan.json",
        "manifest.json",
    }
    assert run(*common, "-o", "two", "--target", "celeryconfig").exit_code == 0
    assert Path("two/celeryconfig.py").exists()
    assert "policy.yaml" in Path("one/manifest.json").read_text()


def test_it_may_lie_among_the_sources():
    Path("policy.yaml").write_text("version: 1\nseverities: {PC204: warning}\n")
    assert run("check", ".", "--policy", "policy.yaml").exit_code == 0
    assert run("check", ".").exit_code == 1


def test_the_project_may_name_it():
    Path("rules.yaml").write_text("version: 1\nseverities: {PC204: warning}\n")
    Path("policycompiler.toml").write_text('sources = ["workload.yaml"]\npolicy = "rules.yaml"\n')
    assert run("check").exit_code == 0


def test_the_schema_in_the_repository_is_that_of_the_model():
    assert SCHEMA.read_text() == policies.policy_schema(), "run `make schema`"


def test_the_schema_takes_the_example_and_knows_every_parameter():
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    file, findings = load_one(EXAMPLE)
    assert file is not None
    assert findings == []
    Draft202012Validator(schema).validate(file.data)
    for policy in policies.POLICIES:
        kind = policies.tunable(policy)
        if kind is not None:
            assert set(schema["$defs"][policy.NAME]["properties"]) == set(kind.model_fields)
            assert kind() == kind.model_validate({})
