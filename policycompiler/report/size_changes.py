"""The sizes of workers before → after: rows for people, and data for machines."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.plan import Value
from policycompiler.plan.lines import WorkerLine
from policycompiler.report.sizes import line_data, row
from policycompiler.review import Review
from policycompiler.review.facts.lines import Relined


def size_rows(review: Review) -> list[tuple[str, ...]]:
    """A row of the table of sizes for each worker whose row differs; a cell that differs has both values."""
    return [_row(each) for each in review.relined if _cells(each.before) != _cells(each.after)]


def _row(each: Relined) -> tuple[str, ...]:
    before, after = _cells(each.before), _cells(each.after)
    if before and after:
        return tuple(b if b == a else f"{b} → {a}" for b, a in zip(before, after, strict=True))
    worker, *cells = before or after
    return f"{worker} ({'new' if after else 'removed'})", *cells


def _cells(line: WorkerLine | None) -> tuple[str, ...]:
    return () if line is None else row(line)


def size_changes_data(review: Review) -> list[Value]:
    """The numbers of these workers on both sides, as `size` has them; null on a side without the worker."""
    return line_changes_data(review.relined)


def line_changes_data(lines: Iterable[Relined]) -> list[Value]:
    """The same for any workers."""
    return [
        {"worker": each.worker, "old": _data(each.before), "new": _data(each.after)}
        for each in lines
        if _data(each.before) != _data(each.after)
    ]


def _data(line: WorkerLine | None) -> dict[str, Value] | None:
    if line is None:
        return None
    return {key: value for key, value in line_data(line).items() if key != "worker"}
