"""Two plans compared: what a change means, how risky it is, and how to roll it out."""

from __future__ import annotations

from datetime import date

from policycompiler.plan import Plan
from policycompiler.review.differences.changes import changes
from policycompiler.review.facts.lines import relined
from policycompiler.review.facts.sizes import resized, total
from policycompiler.review.order.needs import needs
from policycompiler.review.order.steps import by_hand, rollout
from policycompiler.review.outcome import OUTPUT, Change, Class, Phase, Review, Step

__all__ = ["OUTPUT", "Change", "Class", "Phase", "Review", "Step", "review"]


def review(old: Plan, new: Plan, today: date | None = None) -> Review:
    """Compare two plans; with `today`, show the next firings of schedules from that day."""
    found = needs(old, new)
    told = changes(old, new, found, today)
    if not told:
        return Review((), (), {})
    steps, phases = rollout(old, new, found)
    grown = resized(old, new)
    whole = total(old, new) if grown else None
    return Review(told, (*by_hand(old, told, found), *steps), phases, grown, whole, relined(old, new))
