"""What a workload may say and no target follows yet.

Decides:
    Nothing.

Because:
    A declaration that has no effect must not look as if it had one.

Example:
    tasks: {shop.mail.send: {critical: true}}

    refuses not-yet-honoured

Refuses:
    PC108 not-yet-honoured: nothing to do; it is checked for form and will count later.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from policycompiler.diagnostics import Diagnostic, SpecPath, info
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "not-yet-honoured"

NOT_YET_HONOURED = info("PC108", "not-yet-honoured")

TASK_FIELDS = ("burst", "payload", "priority", "critical", "renamed_from", "runbook")
QUEUE_FIELDS = ("dead_letter", "priorities")
# A schedule's owner is not among them: one that stands in its file for all would be named as well.
SCHEDULE_FIELDS = ("description",)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Name each such declaration once."""
    del plan
    for name, task in spec.tasks.items():
        yield from _given(task, TASK_FIELDS, ("tasks", name))
        if task.canvas is not None and "chord" not in task.canvas:
            yield _finding("canvas", ("tasks", name, "canvas"), "without `chord` ")
    for name, queue in spec.queues.items():
        yield from _given(queue, QUEUE_FIELDS, ("queues", name))
    for name, schedule in spec.schedules.items():
        yield from _given(schedule, SCHEDULE_FIELDS, ("schedules", name))
    for section in ("hosts", "waivers"):
        if getattr(spec, section):
            yield _finding(section, (section,))


def _given(part: BaseModel, fields: tuple[str, ...], path: SpecPath) -> Iterator[Diagnostic]:
    for field in fields:
        if getattr(part, field) is not None:
            yield _finding(field, (*path, field))


def _finding(field: str, path: SpecPath, when: str = "") -> Diagnostic:
    message = f"`{field}` {when}is checked for form, and no output follows it yet"
    return NOT_YET_HONOURED.at(path, message, at_key=True)
