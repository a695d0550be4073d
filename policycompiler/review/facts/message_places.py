"""Where a broker keeps the messages: what two plans have to say alike for them to see each other's."""

from __future__ import annotations

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
_OTHER_PLACES: dict[str, dict[str, Value]] = {
    "redis": {"global_keyprefix": "", "sep": "\x06\x16", "master_name": None},
    "rabbitmq": {"host": None, "virtual_host": None},
    "sqs": {"queue_name_prefix": "", "region": None},
    "filesystem": {"data_folder_in": "data_in", "data_folder_out": "data_out"},
}
"""The options by which a queue of the same name is another one, with what kombu takes by default."""

_OTHER_EARS: dict[str, dict[str, Value]] = {
    "redis": {"fanout_prefix": True, "fanout_patterns": True, "sentinel_fanout_compat": False},
    "sqs": {"supports_fanout": False, "predefined_exchanges": None},
    "filesystem": {"control_folder": "control"},
}
"""Those by which only what is sent to every process goes another way."""

_HELD: dict[str, dict[str, Value]] = {
    "redis": {"unacked_key": "unacked", "unacked_index_key": "unacked_index"},
}
"""Those by which a worker finds what another one has taken and not ended."""


_SURE: dict[str, dict[str, Value]] = {
    "redis": {"ack_emulation": True},
}
"""Those by which a message is not lost with a worker, whatever kills it."""


class Option(NamedTuple):
    """An option of a transport that differs, and what it was, by default too."""

    key: str
    was: Value


def is_elsewhere(old: Plan, new: Plan) -> bool:
    """Whether two plans keep their messages in different places."""
    if any(old.get(APP, key) != new.get(APP, key) for key in ADDRESS):
        return True
    return bool(_differing(old, new, _OTHER_PLACES)) or _addresses_differ(old, new)


def hear_otherwise(old: Plan, new: Plan) -> list[Option]:
    """The options that differ by which processes hear what is sent to all of them."""
    return _differing(old, new, _OTHER_EARS)


def held_elsewhere(old: Plan, new: Plan) -> list[Option]:
    """The options that differ by which workers find what another one took and did not end."""
    return _differing(old, new, _HELD)


def given_up(old: Plan, new: Plan) -> list[Option]:
    """The options that were true and by which a message is not lost."""
    return [option for option in _differing(old, new, _SURE) if option.was]


def _differing(old: Plan, new: Plan, options: dict[str, dict[str, Value]]) -> list[Option]:
    found = []
    for key, default in options.get(new.text(APP, "broker_transport"), {}).items():
        was, now = (_given(plan, key, default) for plan in (old, new))
        if not fleet.same(was, now):
            found.append(Option(key, was))
    return found


def _given(plan: Plan, key: str, default: Value) -> Value:
    value = fleet.transport_option(plan, key)
    return default if value is None else value


def _addresses_differ(old: Plan, new: Plan) -> bool:
    """Whether SQS is told another address of a queue, or of all queues for the first or the last time."""
    if new.get(APP, "broker_transport") != "sqs":
        return False
    before, after = (fleet.transport_option(plan, "predefined_queues") for plan in (old, new))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return bool(before) != bool(after)
    return any(_address(before[name]) != _address(after[name]) for name in before.keys() & after.keys())


def _address(queue: Value) -> Value:
    return queue.get("url") if isinstance(queue, dict) else queue
