"""The keys of `queue:NAME`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_CONFIGURATION, _PEOPLE = readers(Reader.CONFIGURATION), readers(Reader.PEOPLE)


def _declared(name: str, type_: Type, change: ChangeKind, says: str) -> Key:
    return Key("queue", name, type_, change, _CONFIGURATION, says)


def _promised(name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    return Key("queue", name, type_, ChangeKind.QUEUE_PROMISE, _PEOPLE, says, unit)


KEYS = (
    Key(
        "queue",
        "type",
        Type.TEXT,
        ChangeKind.QUEUE_ARGUMENTS,
        _PEOPLE,
        "`classic`, `quorum` or another type of RabbitMQ's; `classic` on other brokers",
        mirror=True,
    ),
    _declared("exchange", Type.TEXT, ChangeKind.QUEUE_BINDING, "the exchange that it is bound to"),
    _declared("exchange_type", Type.TEXT, ChangeKind.QUEUE_ARGUMENTS, "`direct`, `topic` or `fanout`"),
    _declared("routing_key", Type.TEXT, ChangeKind.QUEUE_BINDING, "the key that it is bound by"),
    Key(
        "queue",
        "arguments.",
        Type.ANY,
        ChangeKind.QUEUE_ARGUMENTS,
        _CONFIGURATION,
        "an argument of its declaration by its own name, such as `x-max-length`",
        nullable=True,
    ),
    _declared("consumer_arguments", Type.MAPPING, ChangeKind.QUEUE_OPTIONS, "AMQP arguments of consumers"),
    _declared("broadcast", Type.FLAG, ChangeKind.QUEUE_OPTIONS, "every worker process gets each message"),
    Key(
        "queue",
        "external",
        Type.FLAG,
        ChangeKind.QUEUE_OPTIONS,
        readers(Reader.CONFIGURATION, Reader.PEOPLE),
        "another app consumes and declares it",
    ),
    _declared(
        "dead_letter_queue",
        Type.TEXT,
        ChangeKind.QUEUE_ARGUMENTS,
        "the queue that keeps tasks which failed for good",
    ),
    _declared(
        "dead_letter_arguments", Type.MAPPING, ChangeKind.QUEUE_ARGUMENTS, "AMQP arguments of that queue"
    ),
    Key(
        "queue",
        "workers",
        Type.TEXTS,
        ChangeKind.QUEUE_OPTIONS,
        readers(Reader.ALERT, Reader.PEOPLE),
        "the workers that consume it",
        mirror=True,
    ),
    Key(
        "queue",
        "tasks",
        Type.TEXTS,
        ChangeKind.QUEUE_OPTIONS,
        _PEOPLE,
        "the declared tasks that are sent to it",
        mirror=True,
    ),
    _promised("latency", Type.TEXT, "the most urgent latency class of its tasks"),
    _promised("owner", Type.TEXT, "the owner of its tasks, where they share one"),
    _promised("queue_wait_seconds", Type.NUMBER, "99 of 100 tasks start within this", Unit.SECONDS),
    Key(
        "queue",
        "consumer_timeout_seconds",
        Type.NUMBER,
        ChangeKind.QUEUE_OPTIONS,
        _PEOPLE,
        "RabbitMQ: how long a worker may hold a message",
        Unit.SECONDS,
        mirror=True,
    ),
)
