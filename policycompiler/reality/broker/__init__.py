"""Looks at a broker: its queues, its server, and what else uses it. Each kind of server has a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

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


class Emptiness(NamedTuple):
    """How to know that a broker is empty, and how to empty it again.

    `content` says what is there, empty if nothing is. `clear` deletes what a run of the plan made there.
    `instead` names a place that is empty.
    """

    content: Callable[[Connected, Plan], str]
    clear: Callable[[Connected, Plan], None]
    instead: str


_EMPTINESS: Mapping[str, Emptiness] = {
    "redis": Emptiness(
        on_redis.content, on_redis.clear, "use a database of its own, such as redis://HOST:6379/15"
    ),
    "rabbitmq": Emptiness(
        on_rabbitmq.content, on_rabbitmq.clear, "use a virtual host of its own, such as amqp://HOST:5672/try"
    ),
}


def emptiness(plan: Plan) -> Emptiness | None:
    """How to know that a broker of this kind is empty; None if that cannot be known."""
    return _EMPTINESS.get(plan.broker.server)


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
