"""The capabilities of a broker: each kind of broker has one record.

No field has a default, so a type checker reports the fields that a new broker does not set. Policies,
hazards, emitters and the review use capabilities, never names of brokers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from policycompiler.knowledge.clients import Tls


class Fanout(StrEnum):
    """What a fanout exchange does with a message of an ordinary queue."""

    KEPT = "kept"
    """Each bound queue gets a copy and keeps it."""
    LIVE = "live"
    """Every connected consumer gets a copy; no message is kept for others."""
    NONE = "none"
    """The message goes nowhere."""


class DeadLetters(StrEnum):
    """Where a dead letter goes."""

    ARGUMENTS = "arguments"
    """To the exchange that the queue's arguments name."""
    SIGNALS = "signals"
    """To a queue that the worker publishes it to, on a signal of Celery: the broker would delete it."""
    ELSEWHERE = "elsewhere"
    """The broker may keep it, but Celery does not configure this."""


class Bindings(StrEnum):
    """Where a binding of a queue to an exchange is stored after all processes have stopped."""

    BROKER = "broker"
    """In the broker itself."""
    SET = "set"
    """In a set of Redis; kombu adds bindings and never removes any."""
    FILE = "file"
    """In a file of kombu, which never removes any either."""
    NONE = "none"
    """Nowhere."""


class Levels(StrEnum):
    """How a queue keeps messages of several priorities."""

    LISTS = "lists"
    """In one list for each of the transport's `priority_steps`; 0 is the most urgent."""
    ARGUMENT = "argument"
    """In levels up to the queue's `x-max-priority`; the highest is the most urgent."""


@dataclass(frozen=True, kw_only=True)
class Redelivery:
    """The broker redelivers an unacknowledged message after a time, although its worker is alive.

    `default_seconds` is the default of that time. `most_seconds` is the longest time that the broker
    accepts, None if there is no limit. `shared`: each worker restores the messages of all workers, after
    the time in its own configuration. `option` is the transport option for it, None if kombu has none.
    `sweep` are transport options with which workers look for such messages every few seconds.
    """

    option: str | None
    default_seconds: float
    most_seconds: float | None
    shared: bool
    sweep: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How Prometheus monitors the broker: the job that scrapes it, and a command to check it by hand.

    `up` is the gauge of an exporter between the two, None if Prometheus scrapes the broker directly. `ping`
    is the command; `{url}` in it stands for the URL of the broker, because such a client asks a server on
    its own host otherwise. A command without it runs on the host of the broker.
    """

    job: str
    up: str | None
    ping: str


@dataclass(frozen=True, kw_only=True)
class Container:
    """How the broker runs in a container of its own: its official image, and a version of it.

    `port` is the port of its clients, and `folder` has its data. `command` replaces the one of the image,
    which keeps too little; empty if it need not. `ping` is a command that ends with 0 if the
    broker answers; `url` is its address from other containers, with the name of its host between the braces.
    """

    image: str
    version: str
    port: int
    folder: str
    command: tuple[str, ...]
    ping: tuple[str, ...]
    url: str


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """How KEDA counts messages in the broker (schema/generated/scalers-schema.json of KEDA).

    `kind` is the type of the trigger. `source` is its field with the name of a queue, and `target` that with
    the messages for each pod. `fields` are other fields. `secrets` are the fields that KEDA reads from a
    Secret: the key by the field. `needed` are those of them without a default.
    `address`, `database` and `tls` are the fields for the parts of a URL without credentials, which needs no
    Secret; empty if there is none. `option` is the transport option with which this scaler applies, and
    `option_field` its field; empty if it applies without one. `held`: it counts messages that workers hold.
    """

    kind: str
    source: str
    target: str
    fields: Mapping[str, str]
    secrets: Mapping[str, str]
    needed: str
    address: str
    database: str
    tls: str
    option: str
    option_field: str
    held: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """The transport options that decide which messages two fleets share, each with its default.

    `keeps`: where queues and messages are. `meets`: where broadcasts and remote control are. `holds`: where
    unacknowledged messages are. `acknowledges`: whether a message can be lost with a worker. `addresses` is
    the option with the address of each queue, empty if there is none.
    """

    keeps: Mapping[str, JsonValue]
    meets: Mapping[str, JsonValue]
    holds: Mapping[str, JsonValue]
    acknowledges: Mapping[str, JsonValue]
    addresses: str


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A kind of broker, as Celery and kombu use it.

    Names: `label` is the name for people. `aliases` are words that people write instead of the name in the
    workload. `schemes` are the schemes of a broker URL (kombu.transport.TRANSPORT_ALIASES). `server` is the
    kind of server, in the words of result backends and of stores of schedules.

    Queues: `letters` are the characters that a queue name may have besides letters and digits, empty if any
    is allowed; `refused` are characters that it must not have. `reserved` is how no name may start, empty if
    any may. `longest_name` counts bytes of UTF-8.
    `separator` separates the words of a name that the compiler makes.
    `declarations`: the broker stores how a queue was declared, and refuses a different declaration.
    `arguments` are the queue arguments that have an effect, None for all. `expiring` are the arguments that
    drop waiting messages. `quorum_queues`: the broker has quorum queues. `evicts`: the broker keeps all
    messages in memory, and its configuration decides whether it deletes queues when the memory is full.
    `blocks`: it reads nothing from publishers while memory or disk is short, so a send hangs.

    Messages: `durable`: a waiting message survives a restart of all processes. `modes`: the broker
    distinguishes transient from persistent messages. `confirms`: it confirms accepted messages.
    `unroutable`: it confirms and drops a message whose queue does not exist. `levels` is None if there are
    no priorities.

    Delivery: `redelivery` is None if a message stays with its worker until the connection closes.
    `consumer_timeout`: the broker closes the channel of a consumer that holds a message for too long. For
    `fanout`, `bindings` and `dead_letters` see their types.

    Connections: `control`: the broker transports events and remote control. `heartbeats`: it closes the
    connection of a worker that sends none. `socket_timeout`: without that option a client waits forever for
    an answer. `disables_prefetch`: Celery's `worker_disable_prefetch` has an effect. `tls` is None if
    `broker_use_ssl` has no known form. `metrics` is None if celery-exporter does not support the broker.
    `container` is None if nobody runs the broker in a container. `scalers` are empty if KEDA cannot count
    its messages with what a workload says; the first that applies is used.

    `counted`: a publisher can count the messages of a queue before each send. `client_connections` is how
    many connections kombu's client of a process has by default; above it, an acknowledgment fails and its
    message is redelivered. None: no limit.

    `folders` are the transport options for the folder to read from and the one to write to, None if there
    are none. `own_keys` are the keys under which kombu keeps its own data, beside the queues: the default key
    by the option that renames it.
    """

    label: str
    aliases: tuple[str, ...]
    schemes: frozenset[str]
    server: str
    letters: str
    refused: str
    reserved: str
    longest_name: int
    separator: str
    declarations: bool
    arguments: frozenset[str] | None
    expiring: frozenset[str]
    quorum_queues: bool
    evicts: bool
    blocks: bool
    durable: bool
    modes: bool
    confirms: bool
    unroutable: bool
    levels: Levels | None
    redelivery: Redelivery | None
    consumer_timeout: bool
    fanout: Fanout
    bindings: Bindings
    dead_letters: DeadLetters
    control: bool
    heartbeats: bool
    socket_timeout: bool
    disables_prefetch: bool
    tls: Tls | None
    metrics: Metrics | None
    container: Container | None
    scalers: tuple[Scaler, ...]
    folders: tuple[str, str] | None
    own_keys: Mapping[str, str]
    place: Place
    counted: bool = False
    client_connections: int | None = None

    @property
    def shares_timeout(self) -> bool:
        """Whether each worker restores the messages of all workers, after its own timeout."""
        return self.redelivery is not None and self.redelivery.shared
