"""A review as a pull-request comment (one screen, everything else folded) and as the guide ROLLOUT.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policycompiler.findings.acknowledge import Answer, waiver_of
from policycompiler.report.change_titles import following, likewise, named, title
from policycompiler.report.located import printable
from policycompiler.report.markdown import LONGEST, fitting, literal
from policycompiler.report.review import (
    Reviewed,
    Shown,
    answer_line,
    aside,
    capacity,
    deployed,
    doubts,
    gathered,
    in_full,
    on_both_sides,
    processes,
    shown,
    times,
    verdict,
    where,
)
from policycompiler.report.size_changes import size_rows
from policycompiler.report.sizes import HEADER
from policycompiler.report.step_commands import Line, runs, waits
from policycompiler.report.text import clean, clipped, counted
from policycompiler.review import Class, Review, Step

MOST_RISKY = 5
MOST_SAFE = 3
MOST_SIZES = 4
MOST_STEPS = 8
MOST_ALIKE = 40
LONGEST_SENTENCE = 240
LONGEST_FULL_VALUE = 400

_REMEDIES = {
    Class.LOSSY: "Revert the change, or accept the risk with a waiver for `lossy-change`.",
    Class.MANUAL: "Act first, then acknowledge it with a waiver for `manual-change`.",
    Class.ORDERED: "Deploy in the order of the steps below.",
}
"""What to do about the changes of a class."""


def review_markdown(reviewed: Reviewed) -> str:
    """A comment within GitHub's limit; nothing in it opens, mentions or links anything.

    Above the fold: the verdict with its cause, the riskiest changes with consequence and remedy, the capacity
    before → after, and the steps.
    """
    review = reviewed.review
    words, counts = verdict(review, reviewed.new.errors)
    risky, safe, more = shown(reviewed)
    wrong, *others = map(literal, doubts(reviewed))
    head = f"{_heading(reviewed.name, words)} {_cause(risky)}".rstrip()
    head = "\n\n".join(filter(None, [f"⚠ **{wrong}**" if wrong else "", head, *others]))
    if not review.changes:
        return f"{head}\n"
    blocks = [
        head,
        _risky_lines(risky, reviewed),
        _safe_line(safe, more),
        _capacity_lines(review),
        _rollout_line(review.steps),
        _size_table(review),
    ]
    room = LONGEST - sum(map(len, blocks))
    changes = fitting([_change(each, reviewed) for each in (*risky, *safe)], room // 2, "change")
    told = [_step(number, step) for number, step in enumerate(review.steps, 1)]
    blocks += [
        "<details>\n<summary>All changes, and every step with its commands</summary>",
        literal(f"{clean(reviewed.old.label)} → {clean(reviewed.new.label)}")
        + (f": {counts}" if counts else ""),
        "\n".join(changes),
        "\n\n".join(fitting(told, room // 2, "step")),
        "</details>",
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _size_table(review: Review) -> str:
    """The sizes before → after, folded."""
    rows = size_rows(review)
    if not rows:
        return ""
    lines = [f"| {' | '.join(literal(clean(cell)) for cell in row)} |" for row in rows]
    return "\n".join(
        [
            f"<details>\n<summary>Sizes of {counted(len(rows), 'worker')}: before → after</summary>\n",
            f"| {' | '.join(HEADER)} |",
            f"|{' --- |' * len(HEADER)}",
            *fitting(lines, LONGEST // 4, "worker"),
            "",
            "</details>",
        ]
    )


def no_review_markdown(name: str, old: str) -> str:
    """The comment where the old side has no plan."""
    return f"{_heading(name, literal(f'{clean(old)} has errors, so there is no plan to compare with'))}\n"


def _heading(name: str, words: str) -> str:
    return f"**policycompiler: {literal(clean(name))}: {words}**" if name else f"**policycompiler: {words}**"


def _cause(risky: Sequence[Shown]) -> str:
    """The worst change, as the cause of the verdict; empty where all changes are safe."""
    if not risky:
        return ""
    more = _number(risky) - risky[0].number
    others = f", and {counted(more, 'more change')}" if more else ""
    return f"Cause: {literal(title(risky[0].change))}{_likewise(risky[0])}{others}."


def _risky_lines(risky: Sequence[Shown], reviewed: Reviewed) -> str:
    """The riskiest changes below the remedy of their class."""
    lines: list[str] = []
    classes = dict.fromkeys(each.change.risk for each in risky[:MOST_RISKY])
    number = 0
    for risk in classes:
        alike = [each for each in risky if each.change.risk is risk]
        remedy = "Waivers acknowledge these changes." if all(map(_is_waived, alike)) else _REMEDIES[risk]
        lines += ["", f"**{risk}** {remedy}", ""]
        for each in risky[:MOST_RISKY]:
            if each.change.risk is risk:
                number += 1
                lines.append(_risky(number, each, reviewed))
    if len(risky) > MOST_RISKY:
        lines += ["", f"{_number(risky[MOST_RISKY:])} more below"]
    return "\n".join(lines).strip()


def _is_waived(each: Shown) -> bool:
    return each.answer.waived is not None


def rollout_markdown(review: Review) -> str:
    """The steps as a page for the person who deploys."""
    words, counts = verdict(review)
    head = "# Rollout\n\nGenerated by policycompiler. Do not edit; change the workload and compile again."
    summary = f"**{words}**" + (f" · {counts}" if counts else "")
    care = [
        f"- **{each.change.risk}** {literal(title(each.change))}{_likewise(each)}: "
        f"{literal(printable(each.change.because))}"
        for each in gathered(Shown(change, Answer()) for change in review.changes)
        if each.change.risk is not Class.SAFE
    ]
    steps = "\n\n".join(_step(number, step) for number, step in enumerate(review.steps, 1))
    told = _HOW_TO if review.steps else "Nothing to do."
    blocks = [head, summary, "\n".join(fitting(care, LONGEST // 4, "change")), told, steps]
    return "\n\n".join(filter(None, blocks)) + "\n"


_HOW_TO = """\
Take one step at a time. Begin a step when all waits of the previous step are over. Within a step, handle the
processes one by one, in this order: start, restart, reload (SIGHUP), stop. Then run its commands in order.

Folders are relative to the folder above this one. Producers are all processes that load
`celeryconfig.py` and are neither worker nor beat. To deploy a folder, copy its `celeryconfig*.py` and units:

- systemd (units `SERVICE-worker-NAME@N.service` and `SERVICE-beat.service`): run `systemctl
  daemon-reload`, then `systemctl enable --now`, `restart`, `reload` or `disable --now` for each N;
- supervisor (programs `SERVICE-NAME_N` and `SERVICE-beat`): run `supervisorctl update`, which starts,
  restarts and stops the programs that changed. To reload, run `supervisorctl signal HUP`.

Run the commands in the folder above this one, on a machine that reaches the broker, with the environment
variables of the workers. `policycompiler wait` ends with exit code 0 when all its conditions hold. It changes
nothing. If it ends with another code, read what it says and do not go on: it names the queues that still have
messages and the workers that do not answer. `policycompiler act` deletes nothing that is not empty or is in
use. A node name ends with the number and host of the worker process. What follows `To undo` belongs to it.
`manage.py` is that of the application: give its path.
`policycompiler diff` from the new plan to the old one prints the commands of a rollback."""


def _risky(number: int, each: Shown, reviewed: Reviewed) -> str:
    place = literal(aside(reviewed, each.change))
    mark = "✓" if each.answer.waived else "⚠"
    lines = [f"{number}. {mark} {literal(title(each.change))}{place}{_likewise(each)}"]
    lines.append(literal(clipped(printable(each.change.because), LONGEST_SENTENCE)))
    if told := answer_line(each.answer):
        lines.append(literal(told))
    # A backslash at the end of a line breaks it.
    return "\\\n   ".join(lines)


def _likewise(each: Shown) -> str:
    return literal(likewise(each.alike))


def _number(which: Sequence[Shown]) -> int:
    return sum(each.number for each in which)


def _safe_line(safe: list[Shown], more: int) -> str:
    """The safe changes in a line or two."""
    told = [literal(title(each.change)) + _likewise(each) for each in safe[:MOST_SAFE]]
    if len(safe) > MOST_SAFE:
        told.append(f"{_number(safe[MOST_SAFE:])} more below")
    if more:
        told.append(following(more))
    return f"Safe: {'; '.join(told)}." if told else ""


def _capacity_lines(review: Review) -> str:
    """The first of the resized workers, before → after, and all workers together."""
    lines = [f"- {literal(line)}" for line in capacity(review)]
    if len(lines) > MOST_SIZES:
        lines = [*lines[: MOST_SIZES - 1], f"- and {len(lines) - MOST_SIZES} more", lines[-1]]
    return "\n".join(["**Capacity**", "", *lines]) if lines else ""


def _rollout_line(steps: Sequence[Step]) -> str:
    """The steps, each with its command where that is short."""
    lines = [
        f"{number}. {literal(clipped(printable(step.action), LONGEST_SENTENCE))}{_command(number, step)}"
        for number, step in enumerate(steps[:MOST_STEPS], 1)
    ]
    if len(steps) > MOST_STEPS:
        lines += ["", f"{counted(len(steps) - MOST_STEPS, 'more step')} below"]
    return "\n".join(["**Rollout**", "", *lines]) if lines else ""


def _command(number: int, step: Step) -> str:
    """The commands of a step, in order."""
    commands = [line.command for line in (*waits(number, step), *runs(number, step)) if line.command]
    return f"; then run {' and '.join(f'`{command}`' for command in commands)}" if commands else ""


def _change(each: Shown, reviewed: Reviewed) -> str:
    change = each.change
    old, new = (clipped(in_full(change, value), LONGEST_FULL_VALUE) for value in (change.old, change.new))
    told = title(change)
    # Most titles show short values already.
    values = "" if f"`{old}`" in told and f"`{new}`" in told else f": `{old}` → `{new}`"
    lines = [
        f"- **{change.risk}** {literal(told)}",
        literal(f"`{clean(change.address)}`{values}"),
        *(literal(line) for line in times(change)),
        literal(printable(change.because)),
    ]
    sides = (
        ("before", where(reviewed.old, change.old_path)),
        ("after", where(reviewed.new, change.new_path)),
    )
    lines += [literal(f"{side}: {at}") for side, at in sides if at]
    waits = change.risk is not Class.SAFE and not each.answer.waived
    if waits:
        lines.append(literal(f"to acknowledge: {clean(waiver_of(change))}"))
    lines += [
        literal(f"also {named(other)}{on_both_sides(reviewed, other)}")
        + (literal(f": {clean(waiver_of(other))}") if waits else "")
        for other in each.alike[:MOST_ALIKE]
    ]
    if len(each.alike) > MOST_ALIKE:
        lines.append(f"and {len(each.alike) - MOST_ALIKE} more")
    return "\\\n  ".join(lines)


def _step(number: int, step: Step) -> str:
    """A step as a paragraph with its commands in fences below it."""
    folder = deployed(step.folder)
    done = [("deploy", folder)] if folder else []
    lines = [
        f"**{number}. {literal(clean(step.action))}** ({step.phase})",
        *(f"{verb} {literal(what)}" for verb, what in (*done, *processes(step))),
        literal(clean(step.why)),
    ]
    blocks = ["\\\n".join(lines)]
    blocks += _commands("Wait until", waits(number, step))
    blocks += _commands("Run once, to", runs(number, step))
    blocks.append(f"To undo: {literal(clean(step.undo))}")
    blocks += _commands("Wait until", waits(number, step, undo=True))
    blocks += _commands("Run once, to", runs(number, step, undo=True))
    return "\n\n".join(blocks)


def _commands(label: str, lines: Sequence[Line]) -> Iterator[str]:
    """What each command waits for or does, and the command in a fence, to copy."""
    for line in lines:
        yield "\\\n".join(f"{label} {literal(each)}" for each in line.says)
        if line.command:
            yield f"```sh\n{line.command}\n```"
