"""Which queues RabbitMQ would refuse to declare, and the names of their stand-ins."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.hazards.queues import arguments_of
from policycompiler.plan import Plan, Scope
from policycompiler.review.facts import fleet


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
    if any(plan.get(scope, "external") or plan.get(scope, "broadcast") for plan in (old, new)):
        return False
    same_exchange = old.get(scope, "exchange") == new.get(scope, "exchange")
    other_type = old.get(scope, "exchange_type") != new.get(scope, "exchange_type")
    return arguments_of(old, scope) != arguments_of(new, scope) or (same_exchange and other_type)


def _next_version(queue: str, taken: Iterable[str]) -> str:
    """`mail.v2` of `mail`, `mail.v3` of `mail.v2`, or the next free number."""
    stem, _, last = queue.rpartition(".v")
    if not stem or not last.isdigit():
        stem, last = queue, "1"
    number = int(last) + 1
    while f"{stem}.v{number}" in taken:
        number += 1
    return f"{stem}.v{number}"
