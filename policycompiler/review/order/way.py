"""One way from a plan to another, and how it is spoken of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.plan import BEAT, Plan
from policycompiler.review.order import need, plans_between
from policycompiler.review.order.moving_beat import is_moved
from policycompiler.review.order.need import told
from policycompiler.review.order.needs import Needs
from policycompiler.review.outcome import OUTPUT

PRODUCERS = "producers"


class Stage(NamedTuple):
    """A plan, and the compiled folder that it is deployed from; empty for what runs before the rollout."""

    plan: Plan
    folder: str

    @property
    def called(self) -> str:
        """The folder in a sentence."""
        return {"": "the old output", OUTPUT: "the output"}.get(self.folder, f"`{self.folder}`")


class Way(NamedTuple):
    """One way from a plan to another in which every queue keeps its declaration.

    In between are, where the needs ask for them: `raised`, with the longer visibility timeout; `accepting`,
    which reads the new and sends the old. `both` is what workers run while old and new are under way: one of
    its own, or what accepts, or the end itself.
    """

    start: Stage
    end: Stage
    needs: Needs
    raised: Stage | None
    accepting: Stage | None
    both: Stage

    @property
    def old(self) -> Plan:
        """What it begins with."""
        return self.start.plan

    @property
    def new(self) -> Plan:
        """What it ends with."""
        return self.end.plan

    @property
    def phases(self) -> dict[str, Plan]:
        """The plans in between by their folders, as they are deployed; the end, unless it is the output."""
        deployed = [each for each in (self.raised, self.accepting, self.both, self.end) if each is not None]
        return {each.folder: each.plan for each in deployed if each.folder not in {"", OUTPUT}}


def way_from(start: Stage, new: Plan, found: Needs, *, first: int = 1, stand_in: bool = False) -> Way:
    """The way from a stage to a plan, whose needs are given; folders in between have numbers from `first`.

    It ends with the output, or with one that stands in for it.
    """
    number = first
    old = start.plan

    def stage(plan: Plan, word: str) -> Stage:
        nonlocal number
        number += 1
        return Stage(plan, f"rollout/{number - 1}-{word}")

    raised = stage(plans_between.raised(old, new), "raise") if found.find(need.LONGER_HOLD) else None
    overlap = plans_between.overlap(old, new, found) if found.overlap else new
    accepting = stage(plans_between.accepting(old, overlap, found), "accept") if found.accept_first else None
    both = accepting
    if overlap is not new and (both is None or found.find(need.OLD_FORM)):
        both = stage(overlap, "overlap")
    end = stage(new, "stand-in") if stand_in else Stage(new, OUTPUT)
    return Way(start, end, found, raised, accepting, end if overlap is new or both is None else both)


def and_beat(way: Way) -> str:
    """Beat, in a sentence about producers, where it goes along with them."""
    return " and beat" if way.new.keys(BEAT) and way.old.keys(BEAT) and not is_moved(way.old, way.new) else ""


def names(processes: Iterable[str]) -> str:
    """The workers among processes, in a sentence."""
    return told(each.partition(":")[2] for each in processes)
