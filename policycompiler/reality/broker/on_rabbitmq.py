"""A look at RabbitMQ: passive declarations over AMQP, and the management API if its address is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AMQPError, NotFound, PreconditionFailed, ResourceLocked

from policycompiler.plan import Plan, Scope, Value
from policycompiler.reality.broker import management as managing
from policycompiler.reality.connection import Connected
from policycompiler.reality.seen import Binding, Seen, SeenQueue, Server

_COMPLAINT = re.compile(r"PRECONDITION_FAILED - (.*)", re.DOTALL)


@dataclass(frozen=True)
class _Wanted:
    """A queue as the plan declares it. `own`: this app declares it."""

    name: str
    arguments: Mapping[str, Value]
    own: bool = True


def look(connection: Connected, plan: Plan, management: str | None) -> Seen:
    """The queues of the plan, and what the management API adds: other queues, bindings, alarms, types."""
    version = connection.connection.server_properties.get("version")
    wanted = [each for scope in plan.scopes("queue") for each in _wanted(plan, scope)]
    queues = {each.name: _queue(connection, each) for each in wanted}
    server = Server(version=_text(version))
    if management is None:
        return Seen(server, queues)
    told = managing.read(management, connection.virtual_host or "/", connection.userid, connection.password)
    if isinstance(told, str):
        return Seen(server, queues, unread=(told,))
    # Each process has a queue of its own for a broadcast: NAME.UUID.
    broadcasts = tuple(f"{each.name}." for each in plan.scopes("queue") if plan.get(each, "broadcast"))
    others = {
        name: _managed(SeenQueue(name), found)
        for name, found in told.queues.items()
        if name not in queues and not found.get("exclusive") and not name.startswith(broadcasts)
    }
    return Seen(
        server._replace(alarms=told.alarms),
        {name: _managed(seen, told.queues.get(name, {})) for name, seen in queues.items()},
        {name: seen for name, seen in others.items() if seen.ready or seen.unacked},
        tuple(Binding(*each) for each in told.bindings),
    )


def _wanted(plan: Plan, scope: Scope) -> list[_Wanted]:
    """The queues that a scope of the plan declares; a broadcast has one for each process, with own names."""
    if plan.get(scope, "broadcast"):
        return []
    found = [
        _Wanted(scope.name, plan.below(scope, "arguments."), own=not plan.get(scope, "external")),
    ]
    if letters := plan.get(scope, "dead_letter_queue"):
        given = plan.get(scope, "dead_letter_arguments")
        found.append(_Wanted(str(letters), given if isinstance(given, dict) else {}))
    return found


def _queue(connection: Connected, wanted: _Wanted) -> SeenQueue:
    """A queue by a passive declaration, and by one that the broker compares with the existing queue."""
    channel = connection.channel()
    try:
        found = channel.queue_declare(queue=wanted.name, passive=True)
    except NotFound:
        return SeenQueue(wanted.name, exists=False)
    except ResourceLocked:
        return SeenQueue(wanted.name, differs="another connection declared it as exclusive")
    channel.close()
    differs = _difference(connection, wanted) if wanted.own else ""
    return SeenQueue(wanted.name, ready=found.message_count, consumers=found.consumer_count, differs=differs)


def _difference(connection: Connected, wanted: _Wanted) -> str:
    """What the broker says about the declaration of the plan. The queue exists, so it creates nothing."""
    with closing(connection.channel()) as channel:
        try:
            # `nowait` would hide the answer. kombu declares with the same words.
            channel.queue_declare(
                queue=wanted.name,
                durable=True,
                exclusive=False,
                auto_delete=False,
                arguments=dict(wanted.arguments) or None,
            )
        except PreconditionFailed as problem:
            said = _COMPLAINT.search(str(problem))
            return " ".join((said[1] if said else str(problem)).split())
        except AMQPError:
            # This user may not declare queues, so it is unknown.
            return ""
    return ""


def _managed(seen: SeenQueue, told: Mapping[str, Any]) -> SeenQueue:
    """A queue with what the management API adds."""
    if not told:
        return seen
    arguments = told.get("arguments")
    first = told.get("head_message_timestamp")
    return seen._replace(
        # Its counts are some seconds old; those of a declaration are not.
        ready=_count(told.get("messages_ready")) if seen.ready is None else seen.ready,
        unacked=_count(told.get("messages_unacknowledged")),
        consumers=_count(told.get("consumers")) if seen.consumers is None else seen.consumers,
        type=_text(told.get("type")),
        arguments=arguments if isinstance(arguments, dict) else None,
        oldest_seconds=managing.age(first) if isinstance(first, int | float) else None,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None
