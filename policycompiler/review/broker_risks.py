"""How risky it is what changes about the broker and how it is talked to, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP
from policycompiler.review import places
from policycompiler.review.judged import At, Judged, Rule, lossy, manual, ordered, safe


def _broker(at: At) -> Judged:
    if at.key == "broker_version":
        return safe("it says what runs; what follows from it stands on its own")
    if at.key == "celery_version":
        return manual("the package is installed by hand, no later than the configuration made for it")
    if at.key == "broker_transport_options":
        return _options(at) or _OF_ONE_PROCESS
    return manual(_TWO_FLEETS) if at.needs.elsewhere else _OF_ONE_PROCESS


_OF_ONE_PROCESS = safe("each process goes by it from its start on")
_TWO_FLEETS = "neither fleet sees the messages of the other: both run until the old ones are gone"


def _options(at: At) -> Judged | None:
    """What options of the transport lose, or ask of a person."""
    lost = [_LOST[option.key] for option in places.given_up(at.old, at.new)]
    by_hand = [_TWO_FLEETS] if at.needs.elsewhere else [*_by_hand(at)]
    because = "; ".join([*lost, *by_hand])
    if lost:
        return lossy(because)
    return manual(because) if by_hand else None


_LOST = {
    "ack_emulation": "from now on what a worker has taken is kept nowhere: if it is killed, that is lost",
    "confirm_publish": "from now on a message that the broker refuses, or never got, counts as sent",
}


def _by_hand(at: At) -> Iterator[str]:
    """What options ask of a person, of those that leave each message where it is."""
    if held := [f"`{option.was}`" for option in places.held_elsewhere(at.old, at.new)]:
        yield (
            f"what a worker that was killed had taken lies under {' and '.join(held)}, and no new worker "
            "gives it back: once the old ones have ended, look that nothing is left there, or run one with "
            "the old options until the visibility timeout is over"
        )
    if heard := [f"`{option.key}`" for option in places.hear_otherwise(at.old, at.new)]:
        yield (
            f"by another {' and '.join(heard)} old and new processes do not hear what the others send to "
            "all, as broadcasts and remote control do: send none until the last of them has it"
        )


def _priorities(at: At) -> Judged:
    levels = "Redis keeps each level in a list of its own, and old workers do not look into new lists"
    more = _options(at)
    return more._replace(because=f"{levels}; {more.because}") if more else ordered(levels)


def _visibility(at: At) -> Judged:
    if at.key == "longest_hold_seconds":
        return safe("it is what the visibility timeout is held against")
    if at.new.get(APP, "broker_transport") == "sqs" and not at.needs.elsewhere:
        return manual(
            "queues of SQS that exist keep the timeout that they were made with: set `VisibilityTimeout` of "
            "them, a longer one before the deploy, a shorter one once nothing is held for longer"
        )
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
