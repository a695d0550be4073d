"""Looks at a broker: its queues, its server, and what else uses it. Each kind of server has a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from policycompiler.plan import Plan, Scope, Setting
from policycompiler.reality.broker import on_rabbitmq, on_redis, on_sqs
from policycompiler.reality.connection import Connected
from policycompiler.reality.observed import observed
from policycompiler.reality.seen import Seen

_LOOKS: Mapping[str, Callable[[Connected, Plan, str | None], Seen]] = {
    "redis": on_redis.look,
    "rabbitmq": on_rabbitmq.look,
    "sqs": on_sqs.look,
}
"""By the kind of server; the last argument is the URL of a management API."""


def can_look(plan: Plan) -> bool:
    """Whether this kind of broker can be looked at."""
    return plan.broker.server in _LOOKS


def look(connection: Connected, plan: Plan, management: str | None = None) -> Seen:
    """Look at the queues of a plan and their server, and change nothing; the broker must be `can_look`."""
    return _LOOKS[plan.broker.server](connection, plan, management)


def settings_of(found: Seen) -> Iterator[Setting]:
    """The plan of today, as far as the broker shows it."""
    for queue in (*found.queues.values(), *(found.others or {}).values()):
        scope = Scope("queue", queue.name)
        if queue.type is not None:
            yield observed(scope, "type", queue.type, "broker", queue.name)
        for key, value in (queue.arguments or {}).items():
            yield observed(scope, f"arguments.{key}", value, "broker", queue.name)
