"""Which queues RabbitMQ would refuse to declare, and the names of their stand-ins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.hazards.queues import arguments_of
from policycompiler.knowledge.queue_arguments import KNOWN, UNCOMPARED
from policycompiler.plan import Plan, Scope, Value
from policycompiler.review.facts import fleet
from policycompiler.review.facts.message_places import is_elsewhere


class Refused(NamedTuple):
    """A declaration that RabbitMQ refuses while the queue or the exchange exists.

    `key` is the setting of the queue that differs, and `was` and `now` are its values, None without one.
    `name` is a free name for a queue that replaces it.
    """

    queue: Scope
    key: str
    was: Value
    now: Value
    name: str


def refused_declarations(old: Plan, new: Plan) -> list[Refused]:
    """What RabbitMQ would refuse of each queue that both plans declare on one broker."""
    if not new.broker.declarations or is_elsewhere(old, new):
        return []
    queues = [queue for queue in new.scopes("queue") if old.keys(queue) and _is_declared(old, new, queue)]
    taken = {scope.name for plan in (old, new) for scope in plan.scopes("queue")}
    return [
        Refused(queue, key, old.get(queue, key), new.get(queue, key), _next_version(queue.name, taken))
        for queue in queues
        for key in _refused_keys(old, new, queue)
    ]


def _refused_keys(old: Plan, new: Plan, queue: Scope) -> list[str]:
    """The settings of a queue that RabbitMQ compares and that differ, those of its dead letters last."""
    was, now = arguments_of(old, queue), arguments_of(new, queue)
    keys = [f"arguments.{name}" for name in sorted(_differing(was, now))]
    if _is_retyped(old, new, queue):
        keys.append("exchange_type")
    dead = old.get(queue, "dead_letter_queue")
    if dead is not None and dead == new.get(queue, "dead_letter_queue"):
        letters = [plan.get(queue, "dead_letter_arguments") for plan in (old, new)]
        keys += ["dead_letter_arguments"] if letters[0] != letters[1] else []
    return keys


def _differing(was: dict[str, Value], now: dict[str, Value]) -> set[str]:
    """The arguments with which a declaration differs for RabbitMQ."""
    names = {*was, *now} & KNOWN - UNCOMPARED
    return {name for name in names if name not in was or name not in now or was[name] != now[name]}


def replaced_queues(old: Plan, new: Plan) -> dict[str, str]:
    """Queues with a worker in both plans, on one broker, each with the name of its stand-in."""
    if not new.broker.declarations:
        return {}
    taken = {scope.name for plan in (old, new) for scope in plan.scopes("queue")}
    replaced: dict[str, str] = {}
    for queue in sorted(fleet.consumed(old) & fleet.consumed(new)):
        if _is_refused(old, new, queue):
            replaced[queue] = _next_version(queue, taken)
            taken.add(replaced[queue])
    return replaced


def _is_refused(old: Plan, new: Plan, queue: str) -> bool:
    """Whether RabbitMQ would refuse the new declaration while the queue has the old one."""
    scope = Scope("queue", queue)
    differing = bool(_differing(arguments_of(old, scope), arguments_of(new, scope)))
    return _is_declared(old, new, scope) and (differing or _is_retyped(old, new, scope))


def _is_declared(old: Plan, new: Plan, queue: Scope) -> bool:
    """Whether processes of both plans declare the queue by this name."""
    return not any(plan.get(queue, "external") or plan.get(queue, "broadcast") for plan in (old, new))


def _is_retyped(old: Plan, new: Plan, queue: Scope) -> bool:
    same_exchange = old.get(queue, "exchange") == new.get(queue, "exchange")
    return same_exchange and old.get(queue, "exchange_type") != new.get(queue, "exchange_type")


def _next_version(queue: str, taken: Iterable[str]) -> str:
    """`mail.v2` of `mail`, `mail.v3` of `mail.v2`, or the next free number."""
    stem, _, last = queue.rpartition(".v")
    if not stem or not last.isdigit():
        stem, last = queue, "1"
    number = int(last) + 1
    while f"{stem}.v{number}" in taken:
        number += 1
    return f"{stem}.v{number}"
