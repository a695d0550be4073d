"""At least fifteen deliberate mistakes in the files of each target are found, and the docs say by whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mistakes import PLAN, Mistake, Mistakes, all_mistakes, found
from places import ROOT
from tools import needs

from policycompiler.emitters import TARGETS
from policycompiler.reality.checkers import CHECKERS

EVERY = all_mistakes()
PAGE = ROOT / "docs" / "mistakes.md"
LEAST = 15


def test_each_target_has_mistakes():
    # Mistakes in the files of brokers are in test_broker_files.py, those of Alertmanager in test_alertmanager.py,
    # and those of dashboards in test_dashboards.py.
    assert {each.target for each in EVERY} == set(TARGETS) - {
        "rabbitmq",
        "redis",
        "alertmanager",
        "runbook",
        "grafana",
    }
    assert [each.target for each in EVERY if len(set(each.mistakes)) < LEAST] == []


@pytest.mark.parametrize("mistakes", EVERY, ids=lambda each: each.target)
def test_each_mistake_is_found_by_those_that_the_page_names(mistakes, tmp_path, request):
    for checker in CHECKERS:
        if checker.program != "python" and checker.files([mistakes.file]):
            needs(checker.program)
    told = [*found(mistakes, tmp_path)]
    assert [mistake.what for mistake, finders in told if not finders] == []
    section = "\n".join(section_of(mistakes, told))
    text = PAGE.read_text("utf-8")
    start, end = (f"<!-- {mistakes.target}{word} -->\n" for word in ("", " end"))
    if request.config.getoption("--update-golden"):
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        PAGE.write_text(f"{before}{start}{section}\n{end}{after}", "utf-8")
        return
    assert text.partition(start)[2].partition(end)[0] == section + "\n"


def section_of(mistakes: Mistakes, told: list[tuple[Mistake, list[str]]]) -> Iterator[str]:
    """A table for the page: a row for each mistake, a column for each checker."""
    columns = [*sorted({finder for _, finders in told for finder in finders} - {PLAN}), PLAN]
    yield f"In `{mistakes.file}`:\n"
    yield f"| mistake | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for mistake, finders in told:
        where = f" (`{mistake.file.rpartition('/')[2]}`)" if mistake.file else ""
        yield f"| {mistake.what}{where} | {' | '.join('found' if each in finders else '' for each in columns)} |"
