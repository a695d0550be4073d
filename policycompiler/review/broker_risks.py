"""How risky it is what changes about the broker and how it is talked to, and why."""

from __future__ import annotations

from policycompiler.review import places
from policycompiler.review.judged import At, Judged, Rule, manual, ordered, safe


def _broker(at: At) -> Judged:
    if at.key == "broker_version":
        return safe("it says what runs; what follows from it stands on its own")
    if at.key == "celery_version":
        return manual("the package is installed by hand, no later than the configuration made for it")
    if at.needs.elsewhere:
        return manual("neither fleet sees the messages of the other: both run until the old ones are gone")
    if at.key == "broker_transport_options" and (by_hand := _by_hand(at)):
        return by_hand
    return safe("each process goes by it from its start on")


def _by_hand(at: At) -> Judged | None:
    """What options of the transport ask of a person, of those that leave each message where it is."""
    reasons = []
    if held := [f"`{option.was}`" for option in places.held_elsewhere(at.old, at.new)]:
        reasons.append(
            f"what a worker that was killed had taken lies under {' and '.join(held)}, and no new worker "
            "gives it back: once the old ones have ended, look that nothing is left there, or run one with "
            "the old options until the visibility timeout is over"
        )
    if heard := [f"`{option.key}`" for option in places.hear_otherwise(at.old, at.new)]:
        reasons.append(
            f"by another {' and '.join(heard)} old and new processes do not hear what the others send to "
            "all, as broadcasts and remote control do: send none until the last of them has it"
        )
    return manual("; ".join(reasons)) if reasons else None


def _priorities(at: At) -> Judged:
    levels = "Redis keeps each level in a list of its own, and old workers do not look into new lists"
    by_hand = _by_hand(at)
    return manual(f"{levels}; {by_hand.because}") if by_hand else ordered(levels)


def _visibility(at: At) -> Judged:
    if at.key == "longest_hold_seconds":
        return safe("it is what the visibility timeout is held against")
    if at.needs.raised:
        return ordered("an old worker would give back, and so repeat, what new workers hold for longer")
    if at.needs.lowered:
        return ordered("a new worker would give back, and so repeat, what was sent to be held for longer")
    return safe("nothing is held for as long as the shorter of the two")


RULES: dict[str, Rule] = {
    "broker": _broker,
    "priorities": _priorities,
    "visibility-timeout": _visibility,
}
"""How each kind is judged."""
