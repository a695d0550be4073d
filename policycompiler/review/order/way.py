"""One way from a plan to another, and its words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.plan import BEAT, Plan
from policycompiler.review.order import need, plans_between
from policycompiler.review.order.moving_beat import is_moved
from policycompiler.review.order.need import told
from policycompiler.review.order.needs import Needs
from policycompiler.review.outcome import OUTPUT, Stage

PRODUCERS = "producers"


class Way(NamedTuple):
    """One way from a plan to another in which every queue keeps its declaration.

    Where the needs require them, plans in between are: `raised`, with the longer visibility timeout;
    `accepting`, which reads the new and sends the old. `both` is what workers run while old and new messages
    exist: a plan of its own, `accepting`, or the end itself.
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
        """The plans in between by folder, in order; the end too, unless it is the output."""
        deployed = [each for each in (self.raised, self.accepting, self.both, self.end) if each is not None]
        return {each.folder: each.plan for each in deployed if each.folder not in {"", OUTPUT}}


def way_from(start: Stage, new: Plan, found: Needs, *, first: int = 1, stand_in: bool = False) -> Way:
    """The way from a stage to a plan, whose needs are given; folders in between have numbers from `first`.

    It ends with the output, or with a plan that stands in for it.
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
    """Beat, in a sentence about producers, where it is deployed together with them."""
    return " and beat" if way.new.keys(BEAT) and way.old.keys(BEAT) and not is_moved(way.old, way.new) else ""


def names(processes: Iterable[str]) -> str:
    """The workers among processes, in a sentence."""
    return told(each.partition(":")[2] for each in processes)


def none_left(queues: Iterable[str], tasks: Iterable[str] = ()) -> str:
    """That no message of these is left, in a sentence; empty without any."""
    of_tasks = f"of task {told(sorted(tasks))}" if tasks else ""
    if not queues:
        return f"no message {of_tasks} is left" if tasks else ""
    return " or ".join(filter(None, (f"no message is left in {told(sorted(queues))}", of_tasks)))
