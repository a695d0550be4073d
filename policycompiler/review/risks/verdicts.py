"""What a rule that judges changes is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from policycompiler.plan import Plan, Scope, Value, vocabulary
from policycompiler.review.facts.both_plans import BothPlans
from policycompiler.review.order.need import Need, reason
from policycompiler.review.order.needs import Needs
from policycompiler.review.outcome import Class


class Judged(NamedTuple):
    """The class of a change, and a sentence that says why."""

    risk: Class
    because: str


class At(NamedTuple):
    """A change to be judged; `before` is what `scope` is in the old plan, which differs in a renamed task."""

    old: Plan
    new: Plan
    needs: Needs
    before: Scope
    scope: Scope
    key: str

    @property
    def facts(self) -> BothPlans:
        """What is known of the two plans."""
        return self.needs.facts

    @property
    def was(self) -> Value:
        """The old value; None where there is none."""
        return self.old.get(self.before, self.key)

    @property
    def now(self) -> Value:
        """The new value; None where there is none."""
        return self.new.get(self.scope, self.key)


def safe(because: str) -> Judged:
    """In any order."""
    return Judged(Class.SAFE, because)


def ordered(*needs: Need | None) -> Judged | None:
    """In the order of the steps only, which these ask for; None where none of them is there."""
    found = [need for need in needs if need is not None]
    return Judged(Class.ORDERED, reason(found)) if found else None


def manual(because: str) -> Judged:
    """After somebody has seen to it."""
    return Judged(Class.MANUAL, because)


def lossy(because: str) -> Judged:
    """Whatever anybody does."""
    return Judged(Class.LOSSY, because)


UNKNOWN = manual("it is unknown whether old and new processes are compatible with this change")
"""Of what nobody has looked at; unknown is never safe."""


def is_local(at: At) -> bool:
    """Whether a setting concerns one process at a time, whatever the others have."""
    declared = vocabulary.find(at.scope.kind, at.key)
    return declared is not None and declared.local


Rule: TypeAlias = Callable[[At], Judged]
