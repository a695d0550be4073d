"""Declared and measured numbers of tasks: a table, what they do to workers, and the edit; also as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from policycompiler.findings import fixes
from policycompiler.findings.declaring import Declaration, Declared
from policycompiler.load import Document
from policycompiler.plan.lines import Limit, WorkerLine
from policycompiler.quantities import duration
from policycompiler.report.located import place_data
from policycompiler.report.size_changes import line_changes_data
from policycompiler.report.sizes import FORMAT, HEADER, UNKNOWN, broken, finite, line_data, row
from policycompiler.report.text import clean, counted, table
from policycompiler.review.facts.lines import Relined
from policycompiler.verify.declarations import Compared, Declarations, Fact, TaskCompared, as_written

_HEAD = ("task", "rate", "peak", "run p50", "run p99", "declared at")
_WANTED = "slots wanted"
_SLOTS = HEADER.index("slots")
_DECIDED_BY_LOAD = (Limit.WAIT, Limit.LOAD, Limit.FEWEST, Limit.UNDECLARED)
_MOST_NAMED = 20
_SHOWN_DIGITS = 2


class Measurement(NamedTuple):
    """What was measured over a time, where it is from, and how it compares.

    `lines` are the workers of today with declared and with measured numbers, and `edited` those of the
    workload after the edit.
    """

    over_seconds: float
    sources: Sequence[str]
    found: Declarations
    document: Document
    lines: Sequence[Relined]
    edited: Sequence[WorkerLine]
    edit: Declared


def edits(found: Declarations) -> list[Declaration]:
    """The declarations that would agree with what was measured."""
    return [each for task in found.tasks for each in _edits(task)]


def _edits(task: TaskCompared) -> Iterator[Declaration]:
    for field in ("rate", "runtime"):
        those = [each for fact, each in task.facts.items() if fact.path[0] == field]
        changed = frozenset(each.fact.path[1] for each in those if each.mended is not None)
        if changed:
            best = {
                each.fact.path[1]: as_written(each.fact, each.best) for each in those if each.best is not None
            }
            yield Declaration(task.task, field, best, changed)


def measured_text(measurement: Measurement) -> str:
    """For people: what disagrees, what that does to workers, and the edit. Ends with a newline."""
    found = measurement.found
    wrong = [each for each in found.tasks if each.mended]
    seen = counted(len(found.tasks) - len(found.unseen), "task")
    verdict = f"{len(wrong) or 'none'} of {seen} {'disagrees' if len(wrong) == 1 else 'disagree'}"
    over = f"measured over {duration(measurement.over_seconds)} ({', '.join(measurement.sources)})"
    blocks = [[clean(f"{over}: {verdict} with what the workload declares")]]
    if wrong:
        blocks.append(table([_HEAD, *(_row(measurement.document, each) for each in wrong)]))
    if rows := _worker_rows(measurement):
        blocks.append(["workers with these numbers, on the slots of today", *rows])
        blocks.append([*map(clean, _broken(measurement.lines))])
    blocks.append([*map(clean, _notes(measurement))])
    if lines := _edit_lines(measurement):
        blocks.append(["declare what was measured:", *lines])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _broken(lines: Sequence[Relined]) -> Iterator[str]:
    """The promises that do not hold with the measured numbers."""
    for each in lines:
        if each.after is not None and each.before != each.after:
            yield from (f"{each.worker}: {note}" for note in broken(each.after))


def _edit_lines(measurement: Measurement) -> list[str]:
    """The edit as a unified diff, without secrets."""
    return [*map(clean, fixes.diff(measurement.document, measurement.edit.fixed).splitlines())]


def _row(document: Document, task: TaskCompared) -> tuple[str, ...]:
    place = document.place(("tasks", task.task), key=True)
    return task.task, *(_cell(task.facts[fact]) for fact in Fact), f"{place.file}:{place.line}"


def _cell(each: Compared) -> str:
    declared = "" if each.declared is None else as_written(each.fact, each.declared)
    if each.mended is None or each.measured is None:
        # A task without a declared peak has its mean there.
        return declared or (UNKNOWN if each.fact in (Fact.MEAN, Fact.P99) else "")
    measured = as_written(each.fact, float(f"{each.measured:.{_SHOWN_DIGITS}g}"))
    return f"{declared or UNKNOWN} → {'at least ' if each.at_least else ''}{measured}"


def _worker_rows(measurement: Measurement) -> list[str]:
    """The table of sizes before → after for each worker that differs, and the slots after the edit."""
    edited = {each.worker: each for each in measurement.edited}
    rows = [_with_wanted(each, edited.get(each.worker)) for each in measurement.lines]
    rows = [each for each in rows if any("→" in cell for cell in each)]
    return table([_inserted(HEADER, _WANTED), *rows]) if rows else []


def _with_wanted(each: Relined, edited: WorkerLine | None) -> tuple[str, ...]:
    assert each.before is not None
    assert each.after is not None
    before = _inserted(row(each.before), _wanted(each.before))
    after = _inserted(row(each.after), "none" if edited is None else _wanted(edited))
    return tuple(b if b == a else f"{b} → {a}" for b, a in zip(before, after, strict=True))


def _inserted(cells: Sequence[str], cell: str) -> tuple[str, ...]:
    return (*cells[: _SLOTS + 1], cell, *cells[_SLOTS + 1 :])


def _wanted(line: WorkerLine) -> str:
    """The slots that the compiler gives; if a pin or a budget decides them, those that keep the promise."""
    if line.limited_by in _DECIDED_BY_LOAD:
        return str(line.slots)
    fewest = line.fewest_slots
    return UNKNOWN if fewest is None else str(fewest)


def _notes(measurement: Measurement) -> Iterator[str]:
    found = measurement.found
    if any(each.at_least for task in found.tasks for each in task.mended):
        yield "at least: the runs are in the last bucket of the histogram, which has no upper bound"
    today = {each.worker for each in measurement.lines}
    for each in measurement.edited:
        if each.worker not in today:
            yield f"the edit makes another worker: {each.worker} with {counted(each.slots, 'slot')}"
    if found.undeclared:
        names = [
            name if rate is None else f"{name} ({as_written(Fact.MEAN, float(f'{rate:.{_SHOWN_DIGITS}g}'))})"
            for name, rate in found.undeclared.items()
        ]
        yield f"measured, but not declared: {_named(names)}"
    if found.unseen:
        yield f"declared, but not measured: {_named(found.unseen)}"
    if measurement.edit.by_hand:
        yield f"edit by hand, because the entry shares its YAML: {_named(measurement.edit.by_hand)}"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def measured_json(measurement: Measurement, lines: Sequence[WorkerLine]) -> str:
    """The same for machines, beside the numbers of all workers. Ends with a newline."""
    found, document = measurement.found, measurement.document
    tasks = [_task_data(document, each) for each in found.tasks]
    undeclared = [
        {"task": name, "rate_mean_per_second": finite(rate)} for name, rate in found.undeclared.items()
    ]
    data = {
        "format": FORMAT,
        "workers": [*map(line_data, lines)],
        "measured": {
            "over_seconds": measurement.over_seconds,
            "sources": [*measurement.sources],
            "tasks": tasks,
            "undeclared": undeclared,
            "workers": line_changes_data(measurement.lines),
            "edit": "".join(f"{line}\n" for line in _edit_lines(measurement)),
            "by_hand": [*measurement.edit.by_hand],
        },
    }
    return json.dumps(data, indent=2) + "\n"


def _task_data(document: Document, task: TaskCompared) -> dict[str, Any]:
    place = document.place(("tasks", task.task), key=True)
    return {
        "task": task.task,
        "seen_as": [*task.seen],
        "declared_at": place_data(place),
        **{fact.setting: _fact_data(task.facts[fact]) for fact in Fact},
    }


def _fact_data(each: Compared) -> dict[str, Any]:
    return {
        "declared": each.declared,
        "measured": finite(each.measured),
        "at_least": each.at_least,
        "declare": None if each.mended is None else as_written(each.fact, each.mended),
    }
