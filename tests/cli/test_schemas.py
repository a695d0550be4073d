"""What the program prints is what its schemas say; the workload's own schema is tested with the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from places import ROOT

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.manual.plans import plan_schema
from policycompiler.plan.file import to_json

BAD = "version: 1\nservice: shop\napp: shop:app\nbroker: {transport: redis, url: '${U}'}\ntasks:\n  shop.a: "


def schema(what: str) -> dict[str, object]:
    printed = CliRunner().invoke(cli, ["schema", what])
    assert printed.exit_code == 0
    found = json.loads(printed.output)
    Draft202012Validator.check_schema(found)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "what", ["workload", "policy", "plan", "findings", "diff", "status", "dead-letters", "size", "load"]
)
def test_the_schema_that_is_printed_is_the_one_in_the_repository(what: str) -> None:
    assert schema(what) == json.loads((ROOT / "schemas" / f"{what}.schema.json").read_text())


def test_the_schema_of_plans_is_made_from_the_vocabulary() -> None:
    assert (ROOT / "schemas" / "plan.schema.json").read_text("utf-8") == plan_schema(), "run `make schema`"


def test_a_plan_with_another_key_or_a_value_of_another_type_is_refused() -> None:
    plan = compile_workload([ROOT / "examples" / "shop"], targets=()).plan
    assert plan is not None
    validator = Draft202012Validator(schema("plan"))
    for key, value in (("rnabook", "x"), ("burst", "many"), ("options.time_limit", True)):
        document = json.loads(to_json(plan))
        task = document["settings"]["task:shop.payments.refund"]
        task[key] = {**task["queue"], "value": value}
        assert not validator.is_valid(document), key


@pytest.mark.parametrize("environment", [None, "rabbitmq"])
def test_a_plan_is_as_its_schema_says(environment: str | None) -> None:
    plan = compile_workload([ROOT / "examples" / "shop"], environment=environment, targets=()).plan
    assert plan is not None
    Draft202012Validator(schema("plan")).validate(json.loads(to_json(plan)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BAD + "{idempotent: false, retry: {on: [OSError]}}", id="related places"),
        pytest.param(BAD + "{latncy: batch}", id="an unknown key"),
        pytest.param(BAD + "{options: {compression: zstd}}", id="an info"),
        pytest.param("{", id="a file that does not parse"),
        pytest.param(BAD, id="no finding"),
    ],
)
def test_findings_are_as_their_schema_says(text: str, tmp_path: Path) -> None:
    source = tmp_path / "w.yaml"
    source.write_text(text)
    printed = CliRunner().invoke(cli, ["check", str(source), "--output-format", "json"])
    Draft202012Validator(schema("findings")).validate(json.loads(printed.stdout))
