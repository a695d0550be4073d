"""What a kind of broker can do: the record that each of them fills in.

No field has a default, so that a type checker names what a new broker does not say. Policies, hazards,
emitters and the review ask for a capability, never for a name.
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
    """Every consumer that is connected gets a copy; nothing is kept for others."""
    NONE = "none"
    """The message goes nowhere."""


class DeadLetters(StrEnum):
    """Where a message goes that failed for good."""

    ARGUMENTS = "arguments"
    """To the exchange that the queue's arguments name."""
    ELSEWHERE = "elsewhere"
    """The broker may keep it, but Celery does not tell it so."""
    NONE = "none"
    """It is gone."""


class Bindings(StrEnum):
    """Where a binding of a queue to an exchange is kept after all processes have ended."""

    BROKER = "broker"
    """In the broker itself."""
    SET = "set"
    """In a set of Redis, which kombu adds to and takes nothing from."""
    FILE = "file"
    """In a file of kombu's, likewise."""
    NONE = "none"
    """Nowhere."""


class Levels(StrEnum):
    """How a queue keeps messages of several priorities."""

    LISTS = "lists"
    """In a list for each of the transport's `priority_steps`; 0 is the most urgent."""
    ARGUMENT = "argument"
    """As many levels as the queue's `x-max-priority` says; the highest is the most urgent."""


@dataclass(frozen=True, kw_only=True)
class Redelivery:
    """An unacknowledged message is delivered again after a time, although its worker is alive.

    `default_seconds` is that time where nobody sets it, `most_seconds` the longest one that the broker
    accepts, None where there is no bound. `shared`: each worker gives back the messages of all workers, by
    the time that is set in its own configuration. `option` is the transport option that sets it, None where
    kombu has none.
    """

    option: str | None
    default_seconds: float
    most_seconds: float | None
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How Prometheus sees the broker: the job that scrapes it, and the command that asks it by hand.

    `up` is the gauge of an exporter that stands between them, None where the broker answers by itself.
    """

    job: str
    up: str | None
    ping: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """The transport options that decide which messages two fleets share, each with its default.

    `keeps`: where queues and messages are. `meets`: where broadcasts and remote control are. `holds`: where
    unacknowledged messages are. `acknowledges`: whether a message can get lost with a worker. `addresses` is
    the option that has the address of each queue, empty where there is none.
    """

    keeps: Mapping[str, JsonValue]
    meets: Mapping[str, JsonValue]
    holds: Mapping[str, JsonValue]
    acknowledges: Mapping[str, JsonValue]
    addresses: str


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A kind of broker, as Celery and kombu use it.

    Names: `label` is the name for people, `aliases` are words that people write instead of the workload's
    name, `schemes` are the beginnings of a broker URL (kombu.transport.TRANSPORT_ALIASES), `server` is the
    kind of server by the words of result backends and stores of schedules.

    Queues: `letters` are the characters that a queue's name may have besides letters and digits, empty where
    any are allowed; `longest_name` counts characters; `separator` stands between the words of a name that
    the compiler makes. `declarations`: it keeps how a queue was declared, and refuses another declaration.
    `arguments` are the arguments of a queue that have an effect, None for all of them; `expiring` are those
    by which it drops waiting messages. `quorum_queues`: it has them.

    Messages: `durable`: a waiting message survives a restart of all processes. `modes`: it distinguishes
    transient from persistent messages. `confirms`: it confirms what it has accepted. `unroutable`: a message
    whose queue does not exist is confirmed and dropped. `levels` is None where there are no priorities.

    Delivery: `redelivery` is None where a message stays with its worker until the connection ends.
    `consumer_timeout`: it closes the channel of a consumer that holds a message for too long. `fanout`,
    `bindings`, `dead_letters`: see there.

    Connections: `control`: it carries events and remote control. `heartbeats`: it closes the connection of
    a worker that sends none. `socket_timeout`: without that option a client waits for an answer without
    end. `disables_prefetch`: Celery's `worker_disable_prefetch` has an effect. `tls` is None where
    `broker_use_ssl` has no known form. `metrics` is None where celery-exporter measures nothing.

    `folders` are the transport options for the folder to read from and the one to write to, None where there
    are none. `own_keys` are the defaults of the keys under which kombu keeps data of its own, beside those of
    the queues, by the option that renames each.
    """

    label: str
    aliases: tuple[str, ...]
    schemes: frozenset[str]
    server: str
    letters: str
    longest_name: int
    separator: str
    declarations: bool
    arguments: frozenset[str] | None
    expiring: frozenset[str]
    quorum_queues: bool
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
    folders: tuple[str, str] | None
    own_keys: Mapping[str, str]
    place: Place

    @property
    def shares_timeout(self) -> bool:
        """Whether each worker gives back the messages of all workers, by its own timeout."""
        return self.redelivery is not None and self.redelivery.shared
