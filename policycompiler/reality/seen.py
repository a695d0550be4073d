"""What a look at a broker shows, in the words of every kind of broker. None stands for unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from policycompiler.plan import Value


class Message(NamedTuple):
    """A message that was read without taking it.

    `sender` is the process that sent it, as `gen1234@host`. `scheduled`: beat sent it. `expires` is a time in
    ISO 8601, empty without one. `what` tells runs of one schedule from others: its arguments as text.
    """

    task: str
    sender: str = ""
    scheduled: bool = False
    expires: str = ""
    what: str = ""


class SeenQueue(NamedTuple):
    """A queue on the broker.

    `ready` messages wait for a worker, and workers hold `unacked` messages, of which `delayed` have an ETA.
    `levels` has the ready messages of each priority level. `arguments` are those of its declaration.
    `differs` is the broker's complaint about the declaration of the plan. `consumers` are connections.
    `oldest_seconds` is the age of the message that was sent first. `messages` is a sample.
    """

    name: str
    exists: bool = True
    ready: int | None = None
    unacked: int | None = None
    delayed: int | None = None
    levels: Mapping[str, int] = {}
    consumers: int | None = None
    type: str | None = None
    arguments: Mapping[str, Value] | None = None
    differs: str = ""
    oldest_seconds: float | None = None
    visibility_seconds: float | None = None
    messages: tuple[Message, ...] = ()


class Server(NamedTuple):
    """The server itself.

    `eviction` is the policy of Redis for a full memory, `limit_bytes` 0 without a limit. `persistent`: what
    it stores survives a restart. `alarms` block publishers.
    """

    version: str | None = None
    eviction: str | None = None
    persistent: bool | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    alarms: tuple[str, ...] = ()


class Binding(NamedTuple):
    """A binding of a queue to an exchange."""

    exchange: str
    routing_key: str
    queue: str


class Firing(NamedTuple):
    """An entry in the store of beat: the last firing in seconds since 1970, None if it never fired."""

    name: str
    task: str
    last: float | None


class Seen(NamedTuple):
    """A look at a broker.

    `queues` are those of the plan. `others` are queues with messages that the plan does not have, `None` if
    the broker does not list them. `prefixes` are the key prefixes of other apps. `entries` are the schedule
    entries that beat keeps in Redis, and `beat_lock` says whether a beat holds its lock there. `unread` says
    which parts could not be read, and why.
    """

    server: Server
    queues: Mapping[str, SeenQueue]
    others: Mapping[str, SeenQueue] | None = None
    bindings: tuple[Binding, ...] | None = None
    prefixes: tuple[str, ...] = ()
    entries: tuple[Firing, ...] | None = None
    beat_lock: bool | None = None
    unread: tuple[str, ...] = ()
