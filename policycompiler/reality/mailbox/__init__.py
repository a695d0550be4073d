"""Remote control and events, as a guest: asks all nodes at once, and leaves nothing on the broker.

Celery's own client would leave a binding or an exchange behind, and on Redis it would restore messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from celery import Celery
from kombu.messaging import Producer
from kombu.utils.uuid import uuid

from policycompiler.reality.connection import Connected
from policycompiler.reality.mailbox import on_amqp, on_redis


class Reply(NamedTuple):
    """The answer of a node to a command."""

    node: str
    command: str
    answer: Any


class Event(NamedTuple):
    """An event of a worker, with the time of its arrival here in seconds since 1970."""

    arrived: float
    fields: Mapping[str, Any]


class Box(Protocol):
    """A private mailbox: the address for replies, and the letters that arrive within some seconds."""

    exchange: str
    key: str

    def letters(self, seconds: float) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """The headers and the body of each letter; the headers of an event have no ticket."""


Open = Callable[[Celery, Connected], AbstractContextManager[Box | None]]

LONGEST_SECONDS = 60
"""No worker answers a question that is older; the clocks of hosts should differ by less."""

BOXES: Mapping[str, Open] = {"redis": on_redis.opened, "rabbitmq": on_amqp.opened}
"""How to open a mailbox, by the kind of server; None for an exchange that no worker has declared."""


def ask(
    app: Celery,
    connection: Connected,
    server: str,
    commands: Mapping[str, Mapping[str, object]],
    enough: Callable[[list[Reply], list[Event], float], bool],
    *,
    nodes: Sequence[str] | None = None,
) -> tuple[list[Reply], list[Event]]:
    """The replies of these nodes, by default all, to these commands, and the events of workers meanwhile.

    It ends when `enough` says so, which gets the replies, the events, and the seconds since the question.
    """
    replies: list[Reply] = []
    events: list[Event] = []
    with BOXES[server](app, connection) as box:
        if box is None:
            return replies, events
        tickets = {uuid(): command for command in commands}
        start = time.monotonic()
        for ticket, command in tickets.items():
            _send(app, connection, box, command, commands[command], ticket, nodes)
        while not enough(replies, events, time.monotonic() - start):
            for headers, body in box.letters(0.2):
                _sort(headers, body, tickets, replies, events)
    return replies, events


def _send(
    app: Celery,
    connection: Connected,
    box: Box,
    command: str,
    arguments: Mapping[str, object],
    ticket: str,
    nodes: Sequence[str] | None,
) -> None:
    """Broadcast a command in the form of `kombu.pidbox`, with our own address for replies."""
    message = {
        "method": command,
        "arguments": dict(arguments),
        "destination": None if nodes is None else list(nodes),
        "pattern": None,
        "matcher": None,
        "ticket": ticket,
        "reply_to": {"exchange": box.exchange, "routing_key": box.key},
    }
    # A worker that is too busy now discards an old question.
    headers = {"clock": app.clock.forward(), "expires": time.time() + LONGEST_SECONDS}
    with connection.channel() as channel:
        producer: Any = Producer
        producer(channel, auto_declare=False).publish(
            message,
            exchange=f"{app.conf.control_exchange}.pidbox",
            headers=headers,
            serializer="json",
            delivery_mode="transient",
        )


def _sort(
    headers: Mapping[str, Any],
    body: Any,  # noqa: ANN401 - what others sent
    tickets: Mapping[str, str],
    replies: list[Reply],
    events: list[Event],
) -> None:
    """Put a letter into its list; a letter in an unknown form is dropped."""
    if not isinstance(body, dict):
        return
    command = tickets.get(str(headers.get("ticket")))
    if command is not None:
        replies += [Reply(str(node), command, answer) for node, answer in body.items()]
    elif str(body.get("type", "")).startswith("worker-"):
        events.append(Event(time.time(), body))
