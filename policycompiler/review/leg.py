"""One way from a plan to another, and how it is spoken of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.plan import BEAT, Plan
from policycompiler.review.needs import Needs
from policycompiler.review.rollout import OUTPUT

PRODUCERS = "producers"
BEAT_PROCESS = "beat"
_OUTPUT_NAME = "the output"
_MOST_TOLD = 6


class Leg(NamedTuple):
    """One way from a plan to another in which every queue keeps its declaration.

    `plans` collects the plans in between by folder; `came_from` names the folder that the old plan is in.
    """

    old: Plan
    new: Plan
    needs: Needs
    plans: dict[str, Plan]
    final: Plan
    came_from: str

    def folder(self, plan: Plan, word: str) -> str:
        """Where a plan is compiled to; a new folder has its number and the word in its name."""
        if plan is self.final:
            return OUTPUT
        found = next((folder for folder, known in self.plans.items() if known is plan), None)
        folder = found or f"rollout/{len(self.plans) + 1}-{word}"
        self.plans[folder] = plan
        return folder

    def name(self, plan: Plan, word: str) -> str:
        """The folder in a sentence."""
        return called(self.folder(plan, word))


def called(folder: str) -> str:
    """A folder of the rollout in a sentence."""
    return _OUTPUT_NAME if folder == OUTPUT else f"`{folder}`"


def moves_beat(leg: Leg) -> bool:
    """Whether beat goes to another host."""
    both = leg.old.keys(BEAT) and leg.new.keys(BEAT)
    return bool(both) and leg.old.get(BEAT, "host") != leg.new.get(BEAT, "host")


def and_beat(leg: Leg) -> str:
    """Beat, in a sentence about producers, where it goes along with them."""
    return " and beat" if leg.new.keys(BEAT) and leg.old.keys(BEAT) and not moves_beat(leg) else ""


def names(processes: Iterable[str]) -> str:
    """The workers among processes, in a sentence."""
    return told(each.partition(":")[2] for each in processes)


def told(names: Iterable[str]) -> str:
    """Names in a sentence, and how many more there are than anybody reads."""
    listed = [f"`{name}`" for name in names]
    more = len(listed) - _MOST_TOLD
    return ", ".join(listed[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
