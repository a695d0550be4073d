"""A review for a terminal: the verdict, what needs care, the rest, and the steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from policycompiler.report.change_titles import following, named, title
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
from policycompiler.report.text import clean
from policycompiler.review import Change, Class, Step
from policycompiler.review.outcome import WaitFor

_COLORS: Mapping[Class, str] = {
    Class.LOSSY: "1;31",
    Class.MANUAL: "1;33",
    Class.ORDERED: "1;36",
    Class.SAFE: "1;32",
}
_CALM = "2"
_WRONG = "1;31"


def review_text(reviewed: Reviewed, *, color: bool = False, quiet: bool = False) -> str:
    """The review, ending with a newline; `quiet` leaves the verdict, and what puts it in doubt."""
    words, counts = verdict(reviewed.review, reviewed.new.errors)
    risk = worst(reviewed.review, reviewed.new.errors)
    wrong, *others = doubts(reviewed)
    head = [_colored(wrong, _WRONG if color else "")] if wrong else []
    first = _colored(words, _COLORS[risk] if risk and color else "")
    if quiet:
        return "\n".join([*head, first]) + "\n"
    head.append(f"{first} · {counts}" if counts else first)
    if risk is not None:
        sides = f"{clean(reviewed.old.label)} → {clean(reviewed.new.label)}"
        head.append(_colored(sides, _CALM if color else ""))
    risky, safe, more = shown(reviewed)
    blocks = ["\n".join([*head, *others])]
    blocks += ["\n".join(_risky(reviewed, each, color=color)) for each in risky]
    lines = [line for each in safe for line in _safe(reviewed, each)]
    if more:
        lines.append(f"  {following(more)}")
    if lines:
        blocks.append("\n".join([_colored("safe", _COLORS[Class.SAFE] if color else ""), *lines]))
    if sizes := capacity(reviewed.review):
        heading = _colored("capacity", "1" if color else "")
        blocks.append("\n".join([heading, *(f"  {line}" for line in sizes)]))
    steps = [line for number, step in enumerate(reviewed.review.steps, 1) for line in _step(number, step)]
    if steps:
        blocks.append("\n".join([_colored("rollout", "1" if color else ""), *steps]))
    return "\n\n".join(blocks) + "\n"


def _colored(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m" if codes else text


def _risky(reviewed: Reviewed, each: Shown, *, color: bool) -> Iterator[str]:
    change, answer, alike = each
    at, before = where(reviewed.new, change.new_path), where(reviewed.old, change.old_path)
    tint = (_CALM if answer.waived else _COLORS[change.risk]) if color else ""
    headline = f"{_colored(change.risk.value, tint)}: {title(change)}"
    yield f"{at}: {headline}" if at else headline
    yield f"  {clean(change.because)}"
    if before:
        yield f"  before: {before}"
    # Of what is gone, the policy says nothing to anybody.
    if change.policy and change.key:
        yield f"  decided by the policy {clean(change.policy)}"
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
        yield f"likewise {named(change)}{on_both_sides(reviewed, change)}"


def _step(number: int, step: Step) -> Iterator[str]:
    indent = " " * (len(str(number)) + 2)
    yield f"{number}. {clean(step.action)} ({step.phase})"
    if folder := deployed(step.folder):
        yield f"{indent}deploy   {folder}"
    for verb, which in processes(step):
        yield f"{indent}{verb:<7}  {which}"
    for command in step.run:
        yield f"{indent}run      {clean(command)}"
    yield from _waits(step.wait_for, indent)
    yield f"{indent}why      {clean(step.why)}"
    yield f"{indent}undo     {clean(step.undo)}"
    yield from _waits(step.undo_wait_for, indent)


def _waits(waits: Iterable[WaitFor], indent: str) -> Iterator[str]:
    for wait in waits:
        yield f"{indent}wait     {clean(wait.command)}"
        yield f"{indent}         until {clean(wait.until)}"
