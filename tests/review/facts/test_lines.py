"""The sizes of workers before and after a change, in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from places import DATA, EXAMPLES, ROOT
from workloads import workload

from policycompiler.cli import cli


def side(rate: str, more: str = "") -> str:
    """Worker `q` with four pinned slots, and one that stays the same. Runs take 2 s."""
    return workload(f"""
        tasks:
          shop.a: {{latency: interactive, queue: q, runtime: {{p50: 2s, p99: 2s}}, rate: {rate}}}
          shop.b: {{queue: same, runtime: {{p50: 1s, p99: 1s}}, rate: 1/m}}
          {more}
        workers: {{q: {{concurrency: 4}}, same: {{concurrency: 3}}}}
    """)


NEW_WORKER = "shop.c: {queue: fresh, runtime: {p50: 1s, p99: 1s}, rate: 1/s}"


@pytest.fixture(autouse=True)
def _sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(side("1/s"), "utf-8")
    Path("new.yaml").write_text(side("90/m"), "utf-8")


def diff(output_format: str, old: str = "old.yaml", new: str = "new.yaml") -> str:
    outcome = CliRunner(catch_exceptions=False).invoke(
        cli, ["diff", old, new, "--output-format", output_format]
    )
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def rows(text: str, cells: Callable[[str], list[str]]) -> list[dict[str, str]]:
    """The lines of a table below its header, by column."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if "wait p50" in line)
    head = cells(lines[start])
    found: list[dict[str, str]] = []
    for line in lines[start + 1 :]:
        if not line.strip() or line.startswith("<"):
            break
        if "---" not in line:
            found.append(dict(zip(head, cells(line), strict=True)))
    return found


def in_text(line: str) -> list[str]:
    return [each for each in line.strip().split("  ") if each]


def in_markdown(line: str) -> list[str]:
    return [each.strip() for each in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("output_format", "cells"),
    [("full", lambda line: [*map(str.strip, in_text(line))]), ("markdown", in_markdown)],
)
def test_a_worker_has_each_column_before_and_after(
    output_format: str, cells: Callable[[str], list[str]]
) -> None:
    (row,) = rows(diff(output_format), cells)
    # 1 and 1.5 messages per second, 2 s each, on 4 slots; what does not differ is told once.
    assert row["worker"] == "q"
    assert (row["load"], row["busy"], row["slots"]) == ("2 → 3", "50% → 75%", "4")
    assert (row["promise"], row["limited by"], row["memory"]) == ("1 s", "pinned", "300 MiB")
    assert row["p99"].count(" → ") == row["breaks at"].count(" → ") == 1


def test_the_json_has_the_numbers_of_both_sides() -> None:
    data = json.loads(diff("json"))
    schema = json.loads((ROOT / "schemas" / "diff.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(data)
    (found,) = data["sizes"]
    loads = [found[side]["offered_load"] for side in ("old", "new")]
    assert (found["worker"], loads) == ("q", [2, 3])


def test_the_page_has_the_table() -> None:
    done = CliRunner(catch_exceptions=False).invoke(
        cli, ["report", "new.yaml", "--against", "old.yaml", "-o", "page.html"]
    )
    assert done.exit_code == 0, done.output
    text = Path("page.html").read_text("utf-8")
    page = ET.fromstring(text[text.index("<body") : text.index("</html>")])
    (box,) = (each for each in page.iter() if each.get("aria-label") == "Sizes before and after")
    shown = [cell.text for cell in box.iter() if cell.tag in ("th", "td")]
    assert "2 → 3" in shown


def test_a_new_and_a_removed_worker_say_so() -> None:
    Path("new.yaml").write_text(side("1/s", NEW_WORKER), "utf-8")
    (row,) = rows(diff("full"), lambda line: [*map(str.strip, in_text(line))])
    assert (row["worker"], row["load"]) == ("fresh (new)", "1")
    assert json.loads(diff("json"))["sizes"][0]["old"] is None
    back = CliRunner().invoke(cli, ["diff", "new.yaml", "old.yaml"]).stdout
    assert "  fresh (removed)  " in back


def test_no_table_if_no_worker_differs() -> None:
    Path("new.yaml").write_text(side("1/s").replace("queue: same,", "queue: same, owner: shop,"), "utf-8")
    assert "wait p50" not in diff("full") + diff("markdown")
    assert "sizes" not in json.loads(diff("json"))


@pytest.mark.parametrize("plan", sorted((DATA / "plans").glob("*-shop.json")), ids=lambda path: path.stem)
def test_a_plan_of_an_earlier_version_has_sizes(plan: Path) -> None:
    data = json.loads(diff("json", str(plan), str(EXAMPLES / "shop")))
    (search,) = (each for each in data["sizes"] if each["worker"] == "search")
    assert (search["old"]["slots"], search["new"]["slots"]) == (2, 2)
    # Not every earlier version recorded what decided the slots.
    assert [each for each in data["sizes"] if each["old"]["limited_by"] != each["new"]["limited_by"]] == []


def test_a_plan_that_lacks_a_setting_has_no_sizes_and_does_not_fail() -> None:
    done = CliRunner().invoke(cli, ["compile", "old.yaml", "-o", "build"])
    assert done.exit_code == 0, done.output
    plan = json.loads(Path("build/plan.json").read_text("utf-8"))
    del plan["settings"]["worker:q"]["replicas"]
    Path("lacking.json").write_text(json.dumps(plan), "utf-8")
    shown = diff("full", "lacking.json")
    assert "worker `q`: `replicas` is now `1`" in shown
    assert "wait p50" not in shown
