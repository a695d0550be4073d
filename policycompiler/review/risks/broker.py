"""How risky changes of the broker and of its connection are, and why."""

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
        return safe("it only records the broker version; changes that follow from it are listed separately")
    if at.key == "celery_version":
        return manual("a person must install the package, at the latest with the configuration for it")
    if at.key == "broker_transport_options":
        return _options(at) or _OF_ONE_PROCESS
    return manual(_TWO_FLEETS) if at.facts.elsewhere else _setting(at)


def _setting(at: At) -> Judged:
    """Judge a setting of a connection to the same broker."""
    if at.key == "broker_use_ssl":
        return manual("every process now connects differently: the broker must accept both ways")
    if at.key == "broker_native_delayed_delivery_queue_type" and at.new.broker.quorum_queues:
        return manual("RabbitMQ refuses another type while the queues exist in which it delays messages")
    return _OF_ONE_PROCESS if at.key in message_places.ADDRESS or is_local(at) else UNKNOWN


_OF_ONE_PROCESS = safe("each process uses the new value when it starts")
_TWO_FLEETS = "old and new workers cannot see each other's messages: both run until the old messages are gone"


def _options(at: At) -> Judged | None:
    """Judge options of the transport that lose messages, or that need a person."""
    lost = [_LOST[option.key] for option in message_places.given_up(at.old, at.new)]
    by_hand = [_TWO_FLEETS] if at.facts.elsewhere else [*_by_hand(at)]
    if unknown := [f"`{option}`" for option in _unknown(at)]:
        by_hand.append(f"it is unknown what {' and '.join(unknown)} does")
    because = "; ".join([*lost, *by_hand])
    if lost:
        return lossy(because)
    return manual(because) if by_hand else None


_LOST = {
    "ack_emulation": "Redis no longer keeps messages that a worker has fetched: a killed worker loses them",
}


def _by_hand(at: At) -> Iterator[str]:
    """What a person must do for options that do not move messages."""
    if held := [f"`{option.was}`" for option in message_places.held_elsewhere(at.old, at.new)]:
        yield (
            f"messages of killed workers stay under {' and '.join(held)}, and no new worker redelivers "
            "them; after the old workers have stopped, check that no message is left there, or run one "
            "worker with the old options for a visibility timeout"
        )
    if connecting := [f"`{option}`" for option in _differing(at) if option in _CONNECTING]:
        yield (
            f"{' and '.join(connecting)} changes how every process connects: the broker must accept both ways"
        )
    if heard := [f"`{option.key}`" for option in message_places.hear_otherwise(at.old, at.new)]:
        yield (
            f"with a different {' and '.join(heard)}, old and new processes do not receive each other's "
            "broadcasts and remote control commands; send none until all processes have the new value"
        )


_CONNECTING = frozenset({"login_method", "password", "ssl", "userid"})
"""Options that kombu passes to the connection in place of what the URL says (kombu.transport.pyamqp)."""


def _unknown(at: At) -> list[str]:
    """The differing options that this program does not know."""
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
        return safe("the visibility timeout is computed from this value; no process reads the value itself")
    kept = at.new.broker.redelivery is not None and not at.new.broker.shares_timeout
    if kept and not at.facts.elsewhere:
        return manual(
            "existing SQS queues keep their timeout: set their `VisibilityTimeout`, a longer one before the "
            "deployment, a shorter one once no message is held longer"
        )
    held = ordered(*(at.needs.find(kind) for kind in (need.LONGER_HOLD, need.SHORTER_HOLD)))
    return held or safe("no worker holds a message as long as the shorter of the two timeouts")


def _server(at: At) -> Judged:
    if at.key.endswith("server.maxmemory"):
        return manual(
            "Redis refuses whatever is new above its `maxmemory`: before you load the new value, check with "
            "`redis-cli INFO memory` that Redis uses less, and that the machine has the memory"
        )
    return safe("processes do not read it; it takes effect when the server loads its new configuration")


RULES: dict[str, Rule] = {
    "broker": _broker,
    "broker-server": _server,
    "priorities": _priorities,
    "visibility-timeout": _visibility,
}
"""The rule of each kind."""
