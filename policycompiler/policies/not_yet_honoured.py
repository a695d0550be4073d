"""What a workload may say and no target follows yet.

Decides:
    Nothing.

Because:
    A declaration that has no effect must not look as if it had one.

Example:
    tasks: {shop.mail.send: {renamed_from: [shop.send]}}

    refuses not-yet-honoured

Refuses:
    PC108 not-yet-honoured: nothing to do; it is checked for form and will count later.
        fires: tasks: {shop.a: {renamed_from: [shop.b]}}
        silent: tasks: {shop.a: {idempotent: true}}

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

TASK_FIELDS = ("renamed_from",)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Name each such declaration once."""
    del plan
    for name, task in spec.tasks.items():
        yield from _given(task, TASK_FIELDS, ("tasks", name))
    if spec.hosts:
        yield _finding("hosts", ("hosts",))


def _given(part: BaseModel, fields: tuple[str, ...], path: SpecPath) -> Iterator[Diagnostic]:
    for field in fields:
        if getattr(part, field) is not None:
            yield _finding(field, (*path, field))


def _finding(field: str, path: SpecPath) -> Diagnostic:
    message = f"`{field}` is checked, and no output follows it yet"
    return NOT_YET_HONOURED.at(path, message, at_key=True)
