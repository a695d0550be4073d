"""The brokers that a workload can name: one record of capabilities for each."""

from __future__ import annotations

from policycompiler.knowledge.brokers import filesystem, memory, rabbitmq, redis, sqs
from policycompiler.knowledge.brokers.broker import (
    Bindings,
    Broker,
    DeadLetters,
    Fanout,
    Levels,
    Metrics,
    Place,
    Redelivery,
    Scaler,
)

__all__ = [
    "BROKERS",
    "PRIORITY_STEPS",
    "Bindings",
    "Broker",
    "DeadLetters",
    "Fanout",
    "Levels",
    "Metrics",
    "Place",
    "Redelivery",
    "Scaler",
    "broker",
    "scaler",
]

PRIORITY_STEPS = (0, 3, 6, 9)
"""What kombu takes for `priority_steps` on Redis if nobody sets it (kombu.transport.redis)."""
BROKERS: dict[str, Broker] = {
    "redis": redis.BROKER,
    "rabbitmq": rabbitmq.BROKER,
    "sqs": sqs.BROKER,
    "filesystem": filesystem.BROKER,
    "memory": memory.BROKER,
}
"""By the value of `broker.transport` in the workload."""


def broker(transport: str) -> Broker:
    """The record of a transport that the workload names."""
    return BROKERS[transport]


def scaler(kind: str) -> Scaler:
    """The record of a type of trigger of KEDA. Raises `KeyError` if no broker has it."""
    return {each.kind: each for one in BROKERS.values() for each in one.scalers}[kind]
