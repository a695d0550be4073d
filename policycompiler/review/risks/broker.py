"""How risky it is what changes about the broker and how it is talked to, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import celery_settings
from policycompiler.plan import APP
from policycompiler.review.facts import fleet, message_places
from policycompiler.review.order import need
from policycompiler.review.risks.verdicts import (
    UNKNOWN,
    At,
    Judged,
    Rule,
    is_local,
    lossy,
    manual,
    ordered,
    safe,
)


def _broker(at: At) -> Judged:
    if at.key == "broker_version":
        return safe("it says what runs; what follows from it stands on its own")
    if at.key == "celery_version":
        return manual("the package is installed by hand, no later than the configuration made for it")
    if at.key == "broker_transport_options":
        return _options(at) or _OF_ONE_PROCESS
    return manual(_TWO_FLEETS) if at.facts.elsewhere else _setting(at)


def _setting(at: At) -> Judged:
    """What a setting means that leads to the same broker."""
    if at.key == "broker_use_ssl":
        return manual("every process connects in another way from now on: the broker has to accept both")
    if at.key == "broker_native_delayed_delivery_queue_type" and at.new.broker.quorum_queues:
        return manual("RabbitMQ refuses another type while the queues exist in which it delays messages")
    return _OF_ONE_PROCESS if at.key in message_places.ADDRESS or is_local(at) else UNKNOWN


_OF_ONE_PROCESS = safe("each process goes by it from its start on")
_TWO_FLEETS = "neither fleet sees the messages of the other: both run until the old ones are gone"


def _options(at: At) -> Judged | None:
    """What options of the transport lose, or ask of a person."""
    lost = [_LOST[option.key] for option in message_places.given_up(at.old, at.new)]
    by_hand = [_TWO_FLEETS] if at.facts.elsewhere else [*_by_hand(at)]
    if unknown := [f"`{option}`" for option in _unknown(at)]:
        by_hand.append(f"it is unknown what {' and '.join(unknown)} does")
    because = "; ".join([*lost, *by_hand])
    if lost:
        return lossy(because)
    return manual(because) if by_hand else None


_LOST = {
    "ack_emulation": "from now on what a worker has taken is kept nowhere: if it is killed, that is lost",
}


def _by_hand(at: At) -> Iterator[str]:
    """What options ask of a person, of those that leave each message where it is."""
    if held := [f"`{option.was}`" for option in message_places.held_elsewhere(at.old, at.new)]:
        yield (
            f"what a worker that was killed had taken lies under {' and '.join(held)}, and no new worker "
            "gives it back: once the old ones have ended, look that nothing is left there, or run one with "
            "the old options until the visibility timeout is over"
        )
    if connecting := [f"`{option}`" for option in _differing(at) if option in _CONNECTING]:
        yield (
            f"{' and '.join(connecting)} changes how every process connects: the broker must accept both ways"
        )
    if heard := [f"`{option.key}`" for option in message_places.hear_otherwise(at.old, at.new)]:
        yield (
            f"by another {' and '.join(heard)} old and new processes do not hear what the others send to "
            "all, as broadcasts and remote control do: send none until the last of them has it"
        )


_CONNECTING = frozenset({"login_method", "password", "ssl", "userid"})
"""Options that kombu passes to the connection in place of what the URL says (kombu.transport.pyamqp)."""


def _unknown(at: At) -> list[str]:
    """The options that differ and that nobody has looked at."""
    transport, version = at.new.text(APP, "broker_transport"), at.new.text(APP, "celery_version")
    known = celery_settings.known(f"transport:{transport}", version)
    return [key for key in _differing(at) if key not in known]


def _differing(at: At) -> list[str]:
    """The transport options that differ."""
    before, after = (
        options if isinstance(options := plan.get(APP, "broker_transport_options"), dict) else {}
        for plan in (at.old, at.new)
    )
    return sorted(key for key in {*before, *after} if not fleet.same(before.get(key), after.get(key)))


def _priorities(at: At) -> Judged:
    levels, more = ordered(at.needs.find(need.NEW_LEVELS)), _options(at)
    if levels is None or more is None:
        return levels or more or _OF_ONE_PROCESS
    return more._replace(because=f"{levels.because}; {more.because}")


def _visibility(at: At) -> Judged:
    if at.key == "longest_hold_seconds":
        return safe("it is what the visibility timeout is held against")
    kept = at.new.broker.redelivery is not None and not at.new.broker.shares_timeout
    if kept and not at.facts.elsewhere:
        return manual(
            "queues of SQS that exist keep the timeout that they were made with: set `VisibilityTimeout` of "
            "them, a longer one before the deploy, a shorter one once nothing is held for longer"
        )
    held = ordered(*(at.needs.find(kind) for kind in (need.LONGER_HOLD, need.SHORTER_HOLD)))
    return held or safe("nothing is held for as long as the shorter of the two")


RULES: dict[str, Rule] = {
    "broker": _broker,
    "priorities": _priorities,
    "visibility-timeout": _visibility,
}
"""How each kind is judged."""
