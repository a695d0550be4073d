"""The parts of a review: changes of meaning, and the steps that roll them out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from policycompiler.diagnostics import SpecPath
from policycompiler.plan import Plan, Scope, Value
from policycompiler.review.conditions import Action, Condition
from policycompiler.review.facts.lines import Relined
from policycompiler.review.facts.sizes import Resized

Phase: TypeAlias = Literal["expand", "switch", "drain", "contract"]

OUTPUT = "."
"""The folder of a step that deploys the output itself, not a plan in between."""
PREVIOUS = "rollout/previous"
"""The folder with the plan of the previous output, for waits that look for its messages."""


class Class(StrEnum):
    """How risky a change is, the mildest first.

    `safe`: processes may be deployed in any order, old and new side by side. `ordered`: safe only in the
    order of the steps. `manual`: a person must do or decide something that no configuration can. `lossy`: any
    order can lose or repeat work.
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

    It is about a setting. If `key` is empty, it is about a whole scope that was added or removed. `old` and
    `new` are values of the plans, None on a side without a value. `policy` decided the value, preferably the
    new one. `old_path` and `new_path` are the paths in the workload that caused it on either side; empty
    without one. `follows` marks a consequence of other changes of the same review, which needs no line of its
    own.
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
        """The address of the setting, such as `task:shop.mail.send/queue`, or of the scope."""
        return f"{self.scope}/{self.key}" if self.key else str(self.scope)


class Stage(NamedTuple):
    """A plan, and the compiled folder that it is deployed from; empty for what runs before the rollout."""

    plan: Plan
    folder: str

    @property
    def called(self) -> str:
        """The folder in a sentence."""
        return {"": "the previous output", OUTPUT: "the output folder"}.get(self.folder, f"`{self.folder}`")

    @property
    def with_code(self) -> str:
        """The folder and the code that ran with it, in a sentence about rolling back."""
        return f"{self.called} and code" if not self.folder else f"{self.called} and the previous code"

    @property
    def kept_in(self) -> str:
        """The folder with its `plan.json`, relative to the output folder."""
        return self.folder or PREVIOUS


class Step(NamedTuple):
    """One action, and what must hold before the next step.

    `folder` is the compiled folder to deploy, relative to the output: `OUTPUT`, or one of `Review.phases`;
    empty where nothing is deployed. The processes are `worker:NAME`, `beat` and `producers` (all other
    processes that load celeryconfig.py). Those of `start` come first, then those of `restart` and `reload`
    (SIGHUP), which run already, then those of `stop`. Then `wait_for` must hold, in order. Then `run` are
    actions to carry out once. `undo_wait_for` and `undo_run` are those of `undo`. A step `by_hand` deploys
    nothing: a person must do or decide what it says.
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
    wait_for: tuple[Condition, ...] = ()
    run: tuple[Action, ...] = ()
    undo_wait_for: tuple[Condition, ...] = ()
    undo_run: tuple[Action, ...] = ()
    by_hand: bool = False

    @property
    def parts(self) -> tuple[Condition | Action, ...]:
        """All its waits and actions."""
        return (*self.wait_for, *self.run, *self.undo_wait_for, *self.undo_run)


class Review(NamedTuple):
    """Two plans compared: the changes, the riskiest first, and the steps from the old one to the new one.

    `phases` are the plans in between, by the folder that a step deploys. `resized` are the workers whose
    processes, slots or memory differ. `capacity` is that of all workers together, where any differs.
    `relined` are the workers whose messages, slots or promise differ.
    """

    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    phases: Mapping[str, Plan]
    resized: tuple[Resized, ...] = ()
    capacity: Resized | None = None
    relined: tuple[Relined, ...] = ()

    @property
    def verdict(self) -> Class | None:
        """The worst class; None without changes."""
        return max((change.risk for change in self.changes), key=lambda risk: risk.rank, default=None)
