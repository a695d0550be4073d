"""The input and the result of a rule that judges changes."""

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
    """A change to judge; `before` is the scope in the old plan, which differs for a renamed task."""

    old: Plan
    new: Plan
    needs: Needs
    before: Scope
    scope: Scope
    key: str

    @property
    def facts(self) -> BothPlans:
        """The facts about the two plans."""
        return self.needs.facts

    @property
    def was(self) -> Value:
        """The old value; None without one."""
        return self.old.get(self.before, self.key)

    @property
    def now(self) -> Value:
        """The new value; None without one."""
        return self.new.get(self.scope, self.key)


def safe(because: str) -> Judged:
    """Safe in any order."""
    return Judged(Class.SAFE, because)


def ordered(*needs: Need | None) -> Judged | None:
    """Safe only in the order of the steps that these needs require; None without needs."""
    found = [need for need in needs if need is not None]
    return Judged(Class.ORDERED, reason(found)) if found else None


def manual(because: str) -> Judged:
    """Safe after an action or a decision of a person."""
    return Judged(Class.MANUAL, because)


def lossy(because: str) -> Judged:
    """Loses or repeats work in any order."""
    return Judged(Class.LOSSY, because)


UNKNOWN = manual("it is unknown whether old and new processes are compatible with this change")
"""For changes without a rule; unknown is never safe."""


def is_local(at: At) -> bool:
    """Whether a setting affects each process alone, independently of the others."""
    declared = vocabulary.find(at.scope.kind, at.key)
    return declared is not None and declared.local


Rule: TypeAlias = Callable[[At], Judged]
