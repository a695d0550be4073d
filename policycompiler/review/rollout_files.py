"""The files of a rollout, in addition to those of the new plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policycompiler.emitters import emit, plan_file
from policycompiler.emitters.base import MODE_FILE, OutputFile
from policycompiler.emitters.python import python_literal
from policycompiler.plan import Plan
from policycompiler.review.conditions import DeleteRows
from policycompiler.review.outcome import PREVIOUS, Review

FOLDER = "rollout"
STEPS = f"{FOLDER}/steps.json"
GUIDE = f"{FOLDER}/ROLLOUT.md"
ROWS = f"{FOLDER}/delete_rows.py"
"""What Django's shell runs to delete rows of schedules."""


def rollout_files(
    review: Review, old: Plan, targets: Sequence[str], texts: Mapping[str, str]
) -> list[OutputFile]:
    """The compiled folder of each plan in between, with these targets, and the `texts` by path.

    Also the old plan, if a step looks for its messages, and the code of actions that Django runs. The
    manifest of the output holds all of them.
    """
    rows = [each for step in review.steps for each in step.run if isinstance(each, DeleteRows)]
    written = [*texts.items(), *((ROWS, _deletes(each)) for each in rows)]
    files = [OutputFile(path, text, MODE_FILE, frozenset()) for path, text in written]
    if any(getattr(part, "plan", None) == PREVIOUS for step in review.steps for part in step.parts):
        files += [file._replace(path=f"{PREVIOUS}/{file.path}") for file in plan_file.emit(old)]
    for folder, plan in review.phases.items():
        files += [file._replace(path=f"{folder}/{file.path}") for file in emit(plan, targets)]
    return sorted(files, key=lambda file: file.path)


def _deletes(rows: DeleteRows) -> str:
    """A program for Django's shell, which prints the number of deleted rows."""
    names = python_literal(list(rows.schedules))
    return (
        "from django_celery_beat.models import PeriodicTask\n\n"
        f"print(PeriodicTask.objects.filter(name__in={names}).delete())\n"
    )
