"""A review for a terminal: the verdict, the risky changes, the safe ones, and the steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from policycompiler.report.change_titles import following, named, title
from policycompiler.report.colors import Style, change_painted, painted
from policycompiler.report.review import (
    Reviewed,
    Shown,
    answer_line,
    aside,
    capacity,
    deployed,
    doubts,
    on_both_sides,
    processes,
    shown,
    times,
    verdict,
    where,
    worst,
)
from policycompiler.report.size_changes import size_rows
from policycompiler.report.sizes import HEADER
from policycompiler.report.step_commands import Line, runs, waits
from policycompiler.report.text import clean, table
from policycompiler.review import Change, Class, Step

_STYLES: Mapping[Class, Style] = {
    Class.LOSSY: Style.ERROR,
    Class.MANUAL: Style.WARNING,
    Class.ORDERED: Style.NOTE,
    Class.SAFE: Style.SAFE,
}


def review_text(reviewed: Reviewed, *, color: bool = False, quiet: bool = False) -> str:
    """The review, ending with a newline; `quiet` prints the verdict, and the errors that put it in doubt."""
    words, counts = verdict(reviewed.review, reviewed.new.errors)
    risk = worst(reviewed.review, reviewed.new.errors)
    wrong, *others = doubts(reviewed)
    head = [painted(wrong, Style.ERROR, color=color)] if wrong else []
    first = painted(words, _STYLES[risk], color=color) if risk else words
    if quiet:
        return "\n".join([*head, first]) + "\n"
    head.append(f"{first} · {counts}" if counts else first)
    if risk is not None:
        sides = f"{clean(reviewed.old.label)} → {clean(reviewed.new.label)}"
        head.append(painted(sides, Style.CALM, color=color))
    risky, safe, more = shown(reviewed)
    blocks = ["\n".join([*head, *others])]
    blocks += ["\n".join(_risky(reviewed, each, color=color)) for each in risky]
    lines = [change_painted(line, color=color) for each in safe for line in _safe(reviewed, each)]
    if more:
        lines.append(f"  {following(more)}")
    if lines:
        blocks.append("\n".join([painted("safe", Style.SAFE, color=color), *lines]))
    if sizes := capacity(reviewed.review):
        heading = painted("capacity", Style.HEADING, color=color)
        blocks.append("\n".join([heading, *(f"  {line}" for line in sizes)]))
    if rows := size_rows(reviewed.review):
        heading = painted("sizes", Style.HEADING, color=color)
        blocks.append("\n".join([heading, *(f"  {line}" for line in table([HEADER, *rows]))]))
    numbered = enumerate(reviewed.review.steps, 1)
    steps = [line for number, step in numbered for line in _step(number, step, color=color)]
    if steps:
        blocks.append("\n".join([painted("rollout", Style.HEADING, color=color), *steps]))
    return "\n\n".join(blocks) + "\n"


def _risky(reviewed: Reviewed, each: Shown, *, color: bool) -> Iterator[str]:
    change, answer, alike = each
    at, before = where(reviewed.new, change.new_path), where(reviewed.old, change.old_path)
    style = Style.CALM if answer.waived else _STYLES[change.risk]
    risk = painted(change.risk.value, style, color=color)
    headline = f"{risk}: {change_painted(title(change), color=color)}"
    yield f"{painted(at, Style.PATH, color=color)}: {headline}" if at else headline
    yield f"  {clean(change.because)}"
    if before:
        yield f"  before: {painted(before, Style.PATH, color=color)}"
    # The policy of a setting that is gone helps nobody.
    if change.policy and change.key:
        yield f"  decided by policy {clean(change.policy)}"
    yield from (f"  {line}" for line in times(change))
    if told := answer_line(answer):
        yield f"  {told}"
    yield from (f"  {line}" for line in _likewise(reviewed, alike))


def _safe(reviewed: Reviewed, each: Shown) -> Iterator[str]:
    yield f"  {title(each.change)}{aside(reviewed, each.change)}"
    yield from (f"    {line}" for line in times(each.change))
    yield from (f"    {line}" for line in _likewise(reviewed, each.alike))


def _likewise(reviewed: Reviewed, alike: Iterable[Change]) -> Iterator[str]:
    for change in alike:
        yield f"also {named(change)}{on_both_sides(reviewed, change)}"


def _step(number: int, step: Step, *, color: bool) -> Iterator[str]:
    indent = " " * (len(str(number)) + 2)
    commands = partial(_commands, color=color)
    rows = [("deploy", deployed(step.folder))] if step.folder else []
    rows += processes(step)
    rows += commands("wait", "until", waits(number, step))
    rows += commands("run", "to", runs(number, step))
    rows += [("why", clean(step.why)), ("undo", clean(step.undo))]
    undoing = commands("wait", "until", waits(number, step, undo=True))
    undoing += commands("run", "to", runs(number, step, undo=True))
    rows += [(f"  {label}", text) for label, text in undoing]
    yield f"{painted(f'{number}. {clean(step.action)}', Style.HEADING, color=color)} ({step.phase})"
    for label, text in rows:
        yield f"{indent}{painted(f'{label:<7}', Style.CALM, color=color)}  {text}"


def _commands(label: str, word: str, lines: Iterable[Line], *, color: bool) -> list[tuple[str, str]]:
    """A command, and below it what it waits for or does; what a person must see stands alone."""
    rows: list[tuple[str, str]] = []
    for line in lines:
        told = [f"{word} {each}" for each in line.says]
        first = [painted(line.command, Style.COMMAND, color=color)] if line.command else []
        rows += zip([label, *[""] * len(told)], [*first, *told], strict=False)
    return rows
