"""What a review is made of: changes of meaning, and the steps that roll them out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from policycompiler.diagnostics import SpecPath
from policycompiler.plan import Plan, Scope, Value
from policycompiler.review.facts.sizes import Resized

Phase: TypeAlias = Literal["expand", "switch", "drain", "contract"]

OUTPUT = "."
"""The folder of a step that deploys what was compiled, not something in between."""


class Class(StrEnum):
    """How risky a change is, the mildest first.

    `safe`: processes may take it in any order, old and new side by side. `ordered`: safe in the order of the
    steps, and only then. `manual`: a person has to do or to decide something that no configuration can.
    `lossy`: work can be lost or repeated, whatever the order.
    """

    SAFE = "safe"
    ORDERED = "ordered"
    MANUAL = "manual"
    LOSSY = "lossy"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Class).index(self)


class Change(NamedTuple):
    """A difference in meaning between two plans.

    It is about a setting or, where `key` is empty, about all of a scope, which comes or goes. `old` and `new`
    are values of the plan; None where there is none on that side. `policy` decided it, on the new side where
    there is one. `old_path` and `new_path` are what was written in the workload that caused it, on either
    side; empty where nothing was. `follows` says that it is a consequence of other changes of the same
    review, and is worth no line of its own.
    """

    risk: Class
    kind: str
    scope: Scope
    key: str
    because: str
    old: Value
    new: Value
    policy: str
    old_path: SpecPath
    new_path: SpecPath
    follows: bool = False

    @property
    def address(self) -> str:
        """Of the setting, such as `task:shop.mail.send/queue`, or of the scope."""
        return f"{self.scope}/{self.key}" if self.key else str(self.scope)


class Done(StrEnum):
    """How it shows that a wait is over."""

    ZERO = "prints-0"
    """The command prints 0."""
    ENDED = "ends"
    """The command has ended."""
    SEEN = "seen"
    """Somebody sees what `until` says."""


class WaitFor(NamedTuple):
    """A command to repeat, and what it shows once the next step may begin, in words and for machines."""

    command: str
    until: str
    done: Done = Done.SEEN


def nothing_left(command: str) -> WaitFor:
    """Repeat a command until it prints 0."""
    return WaitFor(command, "it prints 0", Done.ZERO)


def pause(seconds: float, because: str) -> WaitFor:
    """Let so many seconds pass."""
    return WaitFor(f"sleep {math.ceil(seconds)}", f"it has ended: {because}", Done.ENDED)


class Step(NamedTuple):
    """One thing to do, and what to see before the next one.

    `folder` is the compiled folder to deploy, relative to the output: `OUTPUT`, or one of `Review.phases`;
    empty where nothing is deployed. The processes are `worker:NAME`, `beat` and `producers` (whatever loads
    celeryconfig.py and is neither): those of `start` come first, then those of `restart` and `reload`
    (SIGHUP), which run already, then those of `stop`. `run` are commands to run once after that.
    `undo_wait_for` are the waits that `undo` speaks of, in its order. A step `by_hand` deploys nothing:
    somebody has to do or to decide what it says.
    """

    phase: Phase
    action: str
    why: str
    undo: str
    folder: str = ""
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    wait_for: tuple[WaitFor, ...] = ()
    undo_wait_for: tuple[WaitFor, ...] = ()
    by_hand: bool = False


class Review(NamedTuple):
    """Two plans compared: the changes, the riskiest first, and the steps from the old one to the new one.

    `phases` are the plans in between, by the folder that a step deploys. `resized` are the workers whose
    processes, slots or memory differ, and `capacity` is that of all workers together, where any differs.
    """

    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    phases: Mapping[str, Plan]
    resized: tuple[Resized, ...] = ()
    capacity: Resized | None = None

    @property
    def verdict(self) -> Class | None:
        """The worst class; None without changes."""
        return max((change.risk for change in self.changes), key=lambda risk: risk.rank, default=None)
