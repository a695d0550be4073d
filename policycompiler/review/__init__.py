"""Two plans held against each other: what a change means, how risky it is, and how to roll it out."""

from __future__ import annotations

from datetime import date

from policycompiler.plan import Plan
from policycompiler.review.capacity import resized, total
from policycompiler.review.changes import changes
from policycompiler.review.needs import needs
from policycompiler.review.rollout import OUTPUT, Change, Class, Phase, Review, Step, WaitFor
from policycompiler.review.steps import by_hand, rollout

__all__ = ["OUTPUT", "Change", "Class", "Phase", "Review", "Step", "WaitFor", "review"]


def review(old: Plan, new: Plan, today: date | None = None) -> Review:
    """Compare two plans; with a `today` the next firings of schedules are told from that day on."""
    found = needs(old, new)
    told = changes(old, new, found, today)
    if not told:
        return Review((), (), {})
    steps, phases = rollout(old, new, found)
    grown = resized(old, new)
    return Review(told, (*by_hand(told, found), *steps), phases, grown, total(old, new) if grown else None)
