"""The steps that `compile --rollout` wrote, read back with the plans that their waits are about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from policycompiler import load
from policycompiler.plan import Plan
from policycompiler.report.text import clean
from policycompiler.review.conditions import (
    Action,
    Condition,
    ContentGone,
    DeleteExchange,
    DeleteQueue,
    DeleteRows,
    Drained,
    MoveLevels,
    Pause,
    Seen,
    Taken,
    TaskGone,
    WorkersAnswer,
)
from policycompiler.review.rollout_files import FOLDER, STEPS
from policycompiler.sides import LARGEST_PLAN_BYTES, SideError, read_side

_Conditions: TypeAlias = tuple[
    Annotated[
        Drained | Taken | TaskGone | ContentGone | WorkersAnswer | Pause | Seen, Field(discriminator="kind")
    ],
    ...,
]
_Actions: TypeAlias = tuple[
    Annotated[DeleteQueue | DeleteExchange | MoveLevels | DeleteRows, Field(discriminator="kind")], ...
]


@dataclass(frozen=True, kw_only=True)
class WrittenStep:
    """What a step waits for and carries out, forwards and back."""

    wait_for: _Conditions
    run: _Actions
    undo_wait_for: _Conditions
    undo_run: _Actions


@dataclass(frozen=True, kw_only=True)
class _Steps:
    steps: tuple[WrittenStep, ...]


class StepsError(Exception):
    """The steps cannot be read: one printable line with the problem and what to do."""


def find_steps(rollout: Path | None, output: Path) -> Path:
    """The folder with the steps: the given one, else `rollout` here or in the output folder."""
    places = [rollout] if rollout else [Path(FOLDER), output / FOLDER]
    for place in places:
        if (place / Path(STEPS).name).is_file():
            return place
    looked = " and ".join(f"`{clean(place.as_posix())}`" for place in places)
    told = "run `policycompiler compile --rollout OLD`, or name the folder with --rollout"
    message = f"no steps in {looked}: {told}"
    raise StepsError(message)


def read_step(rollout: Path, number: int) -> WrittenStep:
    """A step by its number in ROLLOUT.md, from 1. Raises `StepsError`."""
    path = rollout / Path(STEPS).name
    try:
        text = load.read_bounded(path, LARGEST_PLAN_BYTES)
        steps = TypeAdapter(_Steps).validate_json(text).steps
    except OSError as problem:
        message = f"{clean(path.as_posix())} cannot be read: {problem.strerror}"
        raise StepsError(message) from None
    except ValidationError:
        told = "has no steps that this version can follow; compile the rollout again"
        message = f"{clean(path.as_posix())} {told}"
        raise StepsError(message) from None
    if not 1 <= number <= len(steps):
        message = f"{clean(path.as_posix())} has {len(steps)} steps, and no step {number}"
        raise StepsError(message)
    return steps[number - 1]


def plan_of(rollout: Path, condition: Condition | Action) -> Plan | None:
    """The plan that a condition or an action is about; None if it is about none. Raises `StepsError`."""
    folder = getattr(condition, "plan", None)
    return None if folder is None else read_plan((rollout / ".." / folder / "plan.json").as_posix())


def read_plan(side: str) -> Plan:
    """The plan of a side, as for `diff`. Raises `StepsError`."""
    try:
        plan = read_side(side).plan
    except SideError as problem:
        raise StepsError(str(problem)) from None
    if plan is None:
        message = f"{clean(side)} has errors, so it has no plan; run `policycompiler check`"
        raise StepsError(message)
    return plan
