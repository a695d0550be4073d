"""The commands of a rollout step: short lines that name the step, whatever it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from policycompiler.report.text import clean
from policycompiler.review import Step
from policycompiler.review.conditions import Action, Condition, DeleteRows, Seen
from policycompiler.review.rollout_files import ROWS


class Line(NamedTuple):
    """A command to copy, and what it waits for or does; without a command, a person must see it."""

    command: str
    says: tuple[str, ...]


def waits(number: int, step: Step, *, undo: bool = False) -> list[Line]:
    """What must hold after the processes of a step, in order."""
    conditions: Sequence[Condition] = step.undo_wait_for if undo else step.wait_for
    says = tuple(clean(each.says) for each in conditions)
    if not says:
        return []
    by_eye = all(isinstance(each, Seen) for each in conditions)
    return [Line("" if by_eye else _named("wait", number, undo=undo), says)]


def runs(number: int, step: Step, *, undo: bool = False) -> list[Line]:
    """What to carry out once after the waits of a step."""
    actions: Sequence[Action] = step.undo_run if undo else step.run
    rows = [each for each in actions if isinstance(each, DeleteRows)]
    others = tuple(clean(each.says) for each in actions if not isinstance(each, DeleteRows))
    lines = (
        [Line(f"python manage.py shell < {ROWS}", tuple(clean(each.says) for each in rows))] if rows else []
    )
    return lines + ([Line(_named("act", number, undo=undo), others)] if others else [])


def _named(command: str, number: int, *, undo: bool) -> str:
    return f"policycompiler {command} {number}{' --undo' if undo else ''}"
