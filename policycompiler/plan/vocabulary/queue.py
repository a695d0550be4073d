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
        "queue type of RabbitMQ: `classic`, `quorum` or another; `classic` on other brokers",
        mirror=True,
    ),
    _declared("exchange", Type.TEXT, ChangeKind.QUEUE_BINDING, "exchange of the queue"),
    _declared(
        "exchange_type",
        Type.TEXT,
        ChangeKind.QUEUE_ARGUMENTS,
        "type of the exchange: `direct`, `topic` or `fanout`",
    ),
    _declared("routing_key", Type.TEXT, ChangeKind.QUEUE_BINDING, "binding key of the queue"),
    Key(
        "queue",
        "arguments.",
        Type.ANY,
        ChangeKind.QUEUE_ARGUMENTS,
        _CONFIGURATION,
        "argument of the queue declaration by its own name, such as `x-max-length`",
        nullable=True,
    ),
    _declared("consumer_arguments", Type.MAPPING, ChangeKind.QUEUE_OPTIONS, "AMQP arguments of consumers"),
    _declared(
        "broadcast", Type.FLAG, ChangeKind.QUEUE_OPTIONS, "every worker process receives every message"
    ),
    Key(
        "queue",
        "external",
        Type.FLAG,
        ChangeKind.QUEUE_OPTIONS,
        readers(Reader.CONFIGURATION, Reader.PEOPLE),
        "another app consumes and declares the queue",
    ),
    _declared(
        "dead_letter_queue",
        Type.TEXT,
        ChangeKind.QUEUE_ARGUMENTS,
        "queue for the dead letters of this queue",
    ),
    _declared(
        "dead_letter_arguments",
        Type.MAPPING,
        ChangeKind.QUEUE_ARGUMENTS,
        "AMQP arguments of the dead-letter queue",
    ),
    _declared(
        "dead_letter_copies",
        Type.TEXT,
        ChangeKind.QUEUE_OPTIONS,
        "messages that a worker copies to the dead-letter queue: `all` dead letters, or the `acknowledged` "
        "ones, which the broker does not keep",
    ),
    _declared(
        "dead_letter_limit",
        Type.NUMBER,
        ChangeKind.QUEUE_OPTIONS,
        "most dead letters that workers keep in the dead-letter queue; they drop the oldest",
    ),
    Key(
        "queue",
        "workers",
        Type.TEXTS,
        ChangeKind.QUEUE_OPTIONS,
        readers(Reader.ALERT, Reader.PEOPLE),
        "workers that consume the queue",
        mirror=True,
    ),
    Key(
        "queue",
        "tasks",
        Type.TEXTS,
        ChangeKind.QUEUE_OPTIONS,
        _PEOPLE,
        "declared tasks that are sent to the queue",
        mirror=True,
    ),
    _promised("latency", Type.TEXT, "most urgent latency class of its tasks"),
    _promised("owner", Type.TEXT, "owner of its tasks, if all have the same owner"),
    _promised(
        "queue_wait_seconds",
        Type.NUMBER,
        "latency target: 99 of 100 tasks start within this time",
        Unit.SECONDS,
    ),
    Key(
        "queue",
        "consumer_timeout_seconds",
        Type.NUMBER,
        ChangeKind.QUEUE_OPTIONS,
        _PEOPLE,
        "RabbitMQ: longest time that a worker may hold a message",
        Unit.SECONDS,
        mirror=True,
    ),
    Key(
        "queue",
        "broker_policy",
        Type.MAPPING,
        ChangeKind.BROKER_SERVER,
        readers(Reader.SERVER),
        "RabbitMQ: policy of the queue in the broker, which can change while the queue exists",
    ),
)
