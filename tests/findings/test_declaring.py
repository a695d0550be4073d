"""Numbers are written where they stand, and the text around them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from policycompiler import load
from policycompiler.findings.declaring import Declaration, declared

RATE = Declaration("shop.a", "rate", {"mean": "5/s", "peak": "40/s"}, frozenset({"peak"}))
BOTH = RATE._replace(changed=frozenset({"mean", "peak"}))
ALONE = Declaration("shop.a", "rate", {"mean": "5/s"}, frozenset({"mean"}))
RUNTIME = Declaration("shop.a", "runtime", {"p50": "1s", "p99": "9s"}, frozenset({"p50", "p99"}))


def edited(
    folder: Path, text: str, *declarations: Declaration, environment: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """The text with the declarations, and the tasks to edit by hand."""
    path = folder / "w.yaml"
    path.write_text(text, "utf-8")
    document, findings = load.load([path], environment)
    assert findings == []
    found = declared(document, declarations)
    return found.fixed.texts.get(str(path), text), found.by_hand


@pytest.mark.parametrize(
    ("declaration", "before", "after"),
    [
        # Replaced where it stands, in both styles.
        (RATE, "    rate: {mean: 5/s, peak: 8/s} # busy\n", "    rate: {mean: 5/s, peak: 40/s} # busy\n"),
        (BOTH, '    rate: {"mean": "1/s", peak: 8/s}\n', '    rate: {"mean": 5/s, peak: 40/s}\n'),
        (
            BOTH,
            "    rate:\n      mean: 1/s # a\n      # b\n      peak: 8/s\n",
            "    rate:\n      mean: 5/s # a\n      # b\n      peak: 40/s\n",
        ),
        # A key is added to the mapping.
        (RATE, "    rate: {mean: 5/s}\n", "    rate: {mean: 5/s, peak: 40/s}\n"),
        (RATE, "    rate:\n      mean: 5/s # a\n", "    rate:\n      mean: 5/s # a\n      peak: 40/s\n"),
        # One value becomes two, or stays one.
        (RATE, "    rate: 300/m # a\n", "    rate: {mean: 5/s, peak: 40/s} # a\n"),
        (ALONE, "    rate: 8/s\n", "    rate: 5/s\n"),
        (RUNTIME, "    runtime: 3s\n", "    runtime: {p50: 1s, p99: 9s}\n"),
        # The field is added to the entry.
        (ALONE, "    latency: batch # a\n    # b\n", "    latency: batch # a\n    rate: 5/s\n    # b\n"),
        (BOTH, "    latency: batch\n", "    latency: batch\n    rate: {mean: 5/s, peak: 40/s}\n"),
        (ALONE, "    rate:\n", "    rate: 5/s\n"),
    ],
)
def test_a_number_is_written_where_it_stands(
    tmp_path: Path, declaration: Declaration, before: str, after: str
):
    head, tail = "tasks:\n  shop.a:\n", "  shop.b: {rate: 8/s}\n"
    assert edited(tmp_path, head + before + tail, declaration) == (head + after + tail, ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tasks: {shop.a: {}}\n", "tasks: {shop.a: {rate: 5/s, runtime: {p50: 1s, p99: 9s}}}\n"),
        ("tasks: {shop.a: }\n", "tasks: {shop.a: {rate: 5/s, runtime: {p50: 1s, p99: 9s}}}\n"),
        ("tasks:\n  shop.a:\n", "tasks:\n  shop.a: {rate: 5/s, runtime: {p50: 1s, p99: 9s}}\n"),
        (
            "tasks:\n  shop.a:\n    work: io",
            "tasks:\n  shop.a:\n    work: io\n    rate: 5/s\n    runtime: {p50: 1s, p99: 9s}\n",
        ),
        (
            "tasks: {shop.a: {work: io}}\n",
            "tasks: {shop.a: {work: io, rate: 5/s, runtime: {p50: 1s, p99: 9s}}}\n",
        ),
    ],
)
def test_several_fields_are_added_to_one_entry(tmp_path: Path, before: str, after: str):
    assert edited(tmp_path, before, ALONE, RUNTIME) == (after, ())


def test_a_default_stays_and_the_entry_gets_its_own_value(tmp_path: Path):
    before = "defaults: {rate: {mean: 1/s, peak: 2/s}}\ntasks:\n  shop.a: {work: io}\n  shop.b: {}\n"
    after = before.replace("{work: io}", "{work: io, rate: {mean: 5/s, peak: 40/s}}")
    assert edited(tmp_path, before, RATE) == (after, ())


ENVIRONMENT = """\
tasks:
  shop.a: {rate: {mean: 5/s, peak: 8/s}, runtime: 9s}
environments:
  staging:
    tasks:
      shop.a: {rate: {peak: 9/s}}
"""


def test_the_number_of_an_environment_is_written_there(tmp_path: Path):
    after = ENVIRONMENT.replace("9/s", "40/s")
    assert edited(tmp_path, ENVIRONMENT, RATE, environment="staging") == (after, ())
    both = after.replace("mean: 5/s", "mean: 6/s")
    changed = BOTH._replace(values={"mean": "6/s", "peak": "40/s"})
    assert edited(tmp_path, ENVIRONMENT, changed, environment="staging") == (both, ())


@pytest.mark.parametrize(
    "text",
    [
        "tasks:\n  shop.a: &same {rate: {mean: 1/s, peak: 2/s}}\n  shop.b: *same\n",
        "tasks:\n  shop.b: &same {rate: {mean: 1/s, peak: 2/s}}\n  shop.a: *same\n",
        "tasks:\n  shop.a:\n    rate:\n      mean: 1/s\n      peak: >\n        2/s\n",
    ],
)
def test_what_others_share_is_left_to_a_person(tmp_path: Path, text: str):
    assert edited(tmp_path, text, RATE) == (text, ("shop.a",))


def test_several_files_and_tasks_change_at_once(tmp_path: Path):
    for name in ("a", "b"):
        text = f"tasks:\n  shop.{name}: {{rate: 1/s}}\n  shop.{name}2: {{rate: 1/s}}\n"
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    document, _ = load.load([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    found = declared(document, [ALONE._replace(task=f"shop.{name}") for name in ("a", "a2", "b2")])
    texts = {Path(name).name: text for name, text in found.fixed.texts.items()}
    assert texts == {
        "a.yaml": "tasks:\n  shop.a: {rate: 5/s}\n  shop.a2: {rate: 5/s}\n",
        "b.yaml": "tasks:\n  shop.b: {rate: 1/s}\n  shop.b2: {rate: 5/s}\n",
    }
