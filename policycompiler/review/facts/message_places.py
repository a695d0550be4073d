"""Where a broker keeps the messages: settings that two plans must share to see each other's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from policycompiler.plan import APP, Plan, Value
from policycompiler.review.facts import fleet

ADDRESS = (
    "broker_transport",
    "broker_url",
    "broker_url_variable",
    "broker_read_url",
    "broker_write_url",
)
"""The settings that say which broker it is."""


class Option(NamedTuple):
    """A transport option that differs, with its old value, which may be the default."""

    key: str
    was: Value


def is_elsewhere(old: Plan, new: Plan) -> bool:
    """Whether two plans keep their messages in different places."""
    if any(old.get(APP, key) != new.get(APP, key) for key in ADDRESS):
        return True
    return bool(_differing(old, new, new.broker.place.keeps)) or _addresses_differ(old, new)


def hear_otherwise(old: Plan, new: Plan) -> list[Option]:
    """The differing options that decide which processes receive broadcasts."""
    return _differing(old, new, new.broker.place.meets)


def held_elsewhere(old: Plan, new: Plan) -> list[Option]:
    """The differing options that decide where workers find unacknowledged messages of other workers."""
    return _differing(old, new, new.broker.place.holds)


def given_up(old: Plan, new: Plan) -> list[Option]:
    """The differing options that were true and prevent the loss of a message."""
    return [option for option in _differing(old, new, new.broker.place.acknowledges) if option.was]


def _differing(old: Plan, new: Plan, options: Mapping[str, Value]) -> list[Option]:
    found = []
    for key, default in options.items():
        was, now = (_given(plan, key, default) for plan in (old, new))
        if not fleet.same(was, now):
            found.append(Option(key, was))
    return found


def _given(plan: Plan, key: str, default: Value) -> Value:
    value = fleet.transport_option(plan, key)
    return default if value is None else value


def _addresses_differ(old: Plan, new: Plan) -> bool:
    """Whether a queue has another address, or addresses of queues are added or removed."""
    addresses = new.broker.place.addresses
    if not addresses:
        return False
    before, after = (fleet.transport_option(plan, addresses) for plan in (old, new))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return bool(before) != bool(after)
    return any(_address(before[name]) != _address(after[name]) for name in before.keys() & after.keys())


def _address(queue: Value) -> Value:
    return queue.get("url") if isinstance(queue, dict) else queue
