"""The pages say what the program does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from policycompiler.cli import cli
from policycompiler.model import workload_schema
from policycompiler.policies import not_yet_honoured

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LANGUAGE = (ROOT / "docs" / "workload.md").read_text()


def fields() -> list[str]:
    """Every field that a workload file may hold, at any depth."""
    schema = json.loads(workload_schema())
    parts = [schema, *schema["$defs"].values()]
    return sorted({name for part in parts for name in part.get("properties", {})})


CELERYS_OWN = set(json.loads(workload_schema())["$defs"]["TaskOptions"]["properties"]) | set(
    json.loads(workload_schema())["$defs"]["ScheduleOptions"]["properties"]
)
"""Named by Celery's own manual, not by ours."""


@pytest.mark.parametrize("field", sorted(set(fields()) - CELERYS_OWN))
def test_the_language_page_names_every_field(field: str) -> None:
    assert re.search(rf"(?<![a-z_]){field}(?![a-z_])", LANGUAGE)


@pytest.mark.parametrize(
    "field",
    [*not_yet_honoured.TASK_FIELDS, *not_yet_honoured.QUEUE_FIELDS, *not_yet_honoured.SCHEDULE_FIELDS],
)
def test_the_language_page_says_what_is_not_followed_yet(field: str) -> None:
    assert f"`{field}`" in LANGUAGE.partition("## Not followed yet")[2]


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_the_readme_names_every_command(command: str) -> None:
    assert f"policycompiler {command}" in README


def test_the_workload_in_the_readme_is_the_minimal_example() -> None:
    shown = README.partition("```yaml\n")[2].partition("```")[0]
    assert (ROOT / "examples" / "minimal.yaml").read_text().endswith(shown)


def test_the_explanation_in_the_readme_is_what_explain_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    console = README.partition("$ policycompiler explain")[2].partition("```")[0]
    command, _, shown = console.partition("\n")
    printed = CliRunner().invoke(cli, ["explain", *shlex.split(command)])
    assert printed.output == shown


def test_the_finding_in_the_readme_is_what_check_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "version: 1\nservice: shop\napp: shop:app\nbroker: {transport: redis, url: '${URL}'}\n"
    Path("base.yaml").write_text(head)
    Path("payments.yaml").write_text(
        "version: 1\n"
        "tasks:\n"
        "  shop.payments.charge_card:\n"
        "    idempotent: false\n"
        "    runtime: {p50: 800ms, p99: 8s}\n"
        "    retry: {on: [TimeoutError], max: 3}\n"
    )
    printed = CliRunner().invoke(cli, ["check", "."])
    shown = README.partition("```text\n")[2].partition("```")[0]
    assert printed.output.startswith(shown), printed.output


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), target
