"""Messages on RabbitMQ. A client sees ready messages; held ones only the broker's own tools and the workers.

The ways to count held messages, in this order: the management API, if its URL is given; `rabbitmqctl`, if it
runs here and belongs to this broker; else the workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from amqp.exceptions import NotFound
from kombu.connection import Connection

from policycompiler.plan import Plan
from policycompiler.reality.connection import Client, connected
from policycompiler.reality.messages import statistics
from policycompiler.reality.messages.by_workers import held_by_workers
from policycompiler.reality.messages.counts import Count, Look, UncountableError


class Declared(NamedTuple):
    """What the broker says about a queue at once: its ready messages, and its consumers."""

    ready: int
    consumers: int


def ready(plan: Plan, app: Client, queues: Sequence[str]) -> Look:
    """How many messages of each queue no worker has fetched."""
    del plan
    with connected(app) as connection:
        return Look({name: Count(each.ready) for name, each in _declared(connection, queues).items()})


def left(plan: Plan, app: Client, queues: Sequence[str], management: str | None = None) -> Look:
    """How many messages of each queue are ready or held; held ones are counted once none is ready."""
    with connected(app) as connection:
        found = _declared(connection, queues)
        if any(each.ready for each in found.values()):
            return Look({name: Count(each.ready) for name, each in found.items()})
        held, way = _held(plan, app, connection, found, management)
        # A message may have been returned or sent again meanwhile.
        again = _declared(connection, queues)
        return Look({name: Count(again[name].ready, held[name]) for name in queues}, way=way)


def declared(connection: Connection, queue: str) -> Declared | None:
    """A queue as it is now; None if it does not exist."""
    channel: Any = connection.channel()  # type: ignore[no-untyped-call]
    try:
        with channel:
            found = channel.queue_declare(queue, passive=True)
    except NotFound:
        return None
    return Declared(found.message_count, found.consumer_count)


def _declared(connection: Connection, queues: Sequence[str]) -> dict[str, Declared]:
    found = {queue: declared(connection, queue) for queue in queues}
    missing = ", ".join(f"`{name}`" for name, each in found.items() if each is None)
    if missing:
        host = connection.virtual_host
        message = f"virtual host `{host}` has no queue {missing}; check the virtual host of the broker URL"
        raise UncountableError(message)
    return {name: each for name, each in found.items() if each is not None}


def _held(
    plan: Plan, app: Client, connection: Connection, found: Mapping[str, Declared], management: str | None
) -> tuple[Mapping[str, int], str]:
    """The held messages of each queue, and the way in which they were counted."""
    if management:
        return statistics.by_management(management, connection, list(found)), "the management API"
    counted = statistics.by_rabbitmqctl(app, connection, list(found))
    if counted is not None:
        return counted, "`rabbitmqctl`"
    consumers = {name: each.consumers for name, each in found.items()}
    return held_by_workers(plan, app, connection, consumers), "the workers, except those that are stopping"
