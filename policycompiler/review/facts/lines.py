"""The waiting lines of the workers in two plans."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.plan import Plan, Scope, UndecidedError
from policycompiler.plan.lines import WorkerLine, worker_lines


class Relined(NamedTuple):
    """A worker whose messages, slots or promise differ; None on a side without the worker."""

    worker: str
    before: WorkerLine | None
    after: WorkerLine | None


def relined(old: Plan, new: Plan) -> tuple[Relined, ...]:
    """The workers whose lines differ, by name; none if a plan lacks a setting that they need."""
    try:
        before, after = ({each.worker: each for each in worker_lines(plan)} for plan in (old, new))
    except UndecidedError:
        return ()
    found = (
        Relined(name, _recorded(old, before.get(name), after.get(name)), after.get(name))
        for name in sorted({*before, *after})
    )
    return tuple(each for each in found if each.before != each.after)


def _recorded(old: Plan, before: WorkerLine | None, after: WorkerLine | None) -> WorkerLine | None:
    """What an earlier version did not record is no difference: what decided the slots, and the memory."""
    if before is None or after is None:
        return before
    if old.find(Scope("worker", before.worker), "sized_by") is None:
        before = before._replace(limited_by=after.limited_by)
    if before.memory_bytes is None:
        before = before._replace(base_bytes=after.base_bytes, slot_bytes=after.slot_bytes)
    return before
