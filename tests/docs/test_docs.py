"""The pages say what the program does."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from places import DATA, ROOT
from workloads import workload

from policycompiler import manual
from policycompiler.cli import COMMANDS, cli, command
from policycompiler.cli.project import KEYS
from policycompiler.compiler import compile_workload
from policycompiler.emitters import TARGETS
from policycompiler.model import workload_schema

MADE = [
    "policies.md",
    "plan.md",
    *(f"findings/{path.name}" for path in (ROOT / "docs" / "findings").iterdir()),
]
"""The pages that `make docs` writes."""


@cache
def pages() -> dict[str, str]:
    """What `make docs` writes now."""
    return runpy.run_path(str(ROOT / ".ci" / "docs.py"))["pages"]()


README = (ROOT / "README.md").read_text()
COMMAND_PAGE = (ROOT / "docs" / "commands.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
"""The examples of the README: language and text."""
LANGUAGE = (ROOT / "docs" / "workload.md").read_text()
SHOP = ROOT / "examples" / "shop"


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


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_page_of_commands_names_every_command(command: str) -> None:
    assert f"policycompiler {command}" in COMMAND_PAGE


@pytest.mark.parametrize(
    "option", [option.opts[0] for option in command("compile").params if option.opts[0].startswith("-")]
)
def test_the_page_of_commands_names_every_option_of_compile(option: str) -> None:
    assert re.search(rf"[` \[]{option}\b", COMMAND_PAGE)


@pytest.mark.parametrize("target", TARGETS)
def test_the_readme_names_every_target(target: str) -> None:
    assert f"`{target}`" in README


def test_the_project_file_on_the_page_has_every_key_and_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = COMMAND_PAGE.partition("```toml\n")[2].partition("```")[0]
    assert tomllib.loads(shown).keys() == KEYS.keys()
    (tmp_path / "policycompiler.toml").write_text(shown)
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    (tmp_path / tomllib.loads(shown)["baseline"]).write_text('{"format": 1, "findings": []}')
    (tmp_path / "workloads").mkdir()
    for source in SHOP.glob("*.yaml"):
        (tmp_path / "workloads" / source.name).write_text(source.read_text())
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["compile"]).exit_code == 0
    assert Path(tomllib.loads(shown)["output"], "celeryconfig.py").is_file()


def test_the_library_example_in_the_readme_prints_the_routes_of_the_shop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(_last("python"), {})
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads((DATA / "golden/shop/routing.json").read_text())


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_pages_of_the_manual_are_what_the_docstrings_say(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


def test_every_page_of_the_manual_is_there_and_none_is_stale() -> None:
    assert sorted(MADE) == sorted(pages())


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_pages_of_the_manual_are_markdown_that_shows_what_was_written(name: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(pages()[name])
    inline = [child for token in tokens for child in token.children or ()]
    raw = [each.content.strip() for each in (*tokens, *inline) if each.type in ("html_block", "html_inline")]
    assert all(re.fullmatch(r'<a id="pc\d{3}">|</a>', each) for each in raw), raw
    assert [each for each in inline if each.type in ("em_open", "image")] == []
    assert [token.content for token in tokens if token.type == "code_block"] == []
    for fence in (token for token in tokens if token.type == "fence"):
        assert not fence.content.startswith(" "), fence.content


def test_every_finding_and_every_group_can_be_linked_to() -> None:
    targets = {name: targets_of(text) for name, text in pages().items()}
    told = [target for found in targets.values() for target in found if target.startswith("pc")]
    assert sorted(told) == sorted(entry.finding.code.lower() for _, entry in manual.all_findings())
    for name, text in pages().items():
        for file, target in re.findall(r"\]\(([A-Za-z./]*)#([^)]+)\)", text):
            page = str(PurePosixPath(os.path.normpath(PurePosixPath(name).parent / file))) if file else name
            assert target in targets[page], (name, file, target)


def targets_of(text: str) -> list[str]:
    """What a link into a page may name."""
    headings = re.findall(r"(?m)^## (.+)$", text)
    return [*re.findall(r'<a id="([^"]+)">', text), *(heading.replace(".", "") for heading in headings)]


def _first(language: str) -> str:
    return next(text for found, text in BLOCKS if found == language)


def _last(language: str) -> str:
    return [text for found, text in BLOCKS if found == language][-1]


def test_the_workload_in_the_readme_is_the_minimal_example() -> None:
    assert (ROOT / "examples" / "minimal.yaml").read_text().endswith(_last("yaml"))


def test_the_explanation_on_the_page_of_commands_is_what_explain_prints(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "commands.md"
    before, prompt, rest = page.read_text("utf-8").partition("$ policycompiler explain")
    console, end, after = rest.partition("```")
    command, _, shown = console.partition("\n")
    printed = CliRunner().invoke(cli, ["explain", *shlex.split(command)])
    if request.config.getoption("--update-golden"):
        shown = printed.output
        page.write_text(f"{before}{prompt}{command}\n{shown}{end}{after}", "utf-8")
    assert printed.output == shown, "run `make docs`"


@pytest.mark.parametrize("name", ["commands.md", "sizing-model.md"])
def test_the_table_of_the_page_of_commands_is_what_size_prints(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / name
    text = page.read_text("utf-8")

    def printed(shown: re.Match[str]) -> str:
        output = CliRunner().invoke(cli, shlex.split(shown[1])).output
        return f"```console\n$ policycompiler {shown[1]}\n{output}```"

    now, count = re.subn(r"```console\n\$ policycompiler (size .*)\n[^`]*```", printed, text)
    assert count > 0
    if request.config.getoption("--update-golden"):
        page.write_text(now, "utf-8")
        text = now
    assert now == text, "run `make docs`"


def test_the_picture_of_sizes_is_what_size_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Its texts, because another version of matplotlib may draw a line in other words."""
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "sizes.svg"
    new = tmp_path / "sizes.svg"
    assert CliRunner().invoke(cli, ["size", "examples/shop", "--plot", str(new)]).exit_code == 0
    if request.config.getoption("--update-golden"):
        page.write_bytes(new.read_bytes())
    now, shown = (
        [
            "".join(each.itertext())
            for each in ET.fromstring(path.read_text("utf-8")).iter()
            if each.tag.endswith("}text")
        ]
        for path in (new, page)
    )
    assert len(now) > 50
    assert now == shown, "run `make docs`"


def test_the_finding_in_the_readme_is_what_check_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    source = runpy.run_path(str(ROOT / ".ci" / "first_minute.py"))["BEFORE"]
    for line in re.sub(" +#.*", "", _first("yaml")).splitlines():
        assert line in source.splitlines()
    Path("payments.yaml").write_text(source)
    printed = CliRunner().invoke(cli, ["check", "."])
    assert printed.output.startswith(_first("text")), printed.output


def test_what_the_readme_shows_of_the_configuration_is_what_compile_writes(tmp_path: Path) -> None:
    task = "  shop.payments.charge_card:\n    idempotent: false\n    retry: none\n"
    facts = "    latency: interactive\n    runtime: {p50: 800ms, p99: 8s}\n"
    source = tmp_path / "payments.yaml"
    source.write_text(workload(f"tasks:\n{task}{facts}"), "utf-8")
    files = compile_workload([source], targets=["celeryconfig"]).files
    written = next(file.text for file in files if file.path == "celeryconfig.py").splitlines()
    assert [line for line in _first("python").splitlines() if line not in written] == []


def test_the_picture_of_the_first_minute_is_what_the_commands_print() -> None:
    drawn = runpy.run_path(str(ROOT / ".ci" / "first_minute.py"))["picture"]()
    assert (ROOT / "docs" / "first-minute.svg").read_text("utf-8") == drawn, "run `make docs`"


def headings(page: Path) -> set[str]:
    """What a page can be linked to by."""
    text = page.read_text("utf-8")
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles} | {*targets_of(text)}


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), target
        for file, target in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            assert target in headings(page.parent / file if file else page), (page.name, target)
