"""A look at RabbitMQ: passive declarations over AMQP, and the management API if its address is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AMQPError, NotFound, PreconditionFailed, ResourceLocked
from kombu.transport.native_delayed_delivery import CELERY_DELAYED_DELIVERY_EXCHANGE, MAX_LEVEL, level_name

from policycompiler.plan import APP, Plan, Scope, Value
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


def content(connection: Connected, plan: Plan) -> str:
    """What a run of the plan would share with others in this virtual host; empty if nothing is there."""
    queues = [name for name in _queue_names(plan) if _exists(connection, "queue", name)]
    exchanges = [name for name in _exchange_names(plan) if _exists(connection, "exchange", name)]
    named = [f"queue `{name}`" for name in queues] + [f"exchange `{name}`" for name in exchanges]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""  # noqa: PLR2004 - enough to see what it is
    where = f"virtual host {connection.virtual_host or '/'}"
    return f"{where} has {', '.join(named[:3])}{more}" if named else ""


def clear(connection: Connected, plan: Plan) -> None:
    """Delete what a run of the plan declares; without effect for what does not exist."""
    with closing(connection.channel()) as channel:
        for name in (*_queue_names(plan), *_DELAYS):
            channel.queue_delete(name)
        for name in (*_exchange_names(plan), *_DELAYS):
            channel.exchange_delete(name)


_DELAYS = tuple(level_name(level) for level in range(MAX_LEVEL + 1))
"""The queues and exchanges of native delayed delivery."""


def _queue_names(plan: Plan) -> list[str]:
    return [each.name for scope in plan.scopes("queue") for each in _wanted(plan, scope)]


def _exchange_names(plan: Plan) -> list[str]:
    """The exchanges of the queues, of remote control, of events and of delays; not those of the broker."""
    control = str(plan.get(APP, "control_exchange") or "celery")
    events = str(plan.get(APP, "event_exchange") or "celeryev")
    own = {str(plan.get(scope, "exchange") or "") for scope in plan.scopes("queue")}
    own |= {f"{control}.pidbox", f"reply.{control}.pidbox", events, CELERY_DELAYED_DELIVERY_EXCHANGE}
    return sorted(name for name in own if name and not name.startswith("amq."))


def _exists(connection: Connected, what: str, name: str) -> bool:
    channel = connection.channel()
    try:
        if what == "queue":
            channel.queue_declare(queue=name, passive=True)
        else:
            channel.exchange_declare(name, type="direct", passive=True)
    except NotFound:
        return False
    except ResourceLocked:
        return True
    channel.close()
    return True


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
