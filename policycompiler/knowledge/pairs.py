"""Features that fail with certain versions of Celery and RabbitMQ together."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

Release: TypeAlias = tuple[int, int, int]


class Feature(StrEnum):
    """A feature of Celery and RabbitMQ that a deployment may need."""

    CONSUME = "consume"
    """A worker takes messages from a queue."""
    RETRY = "retry"
    """A task is retried after a delay in the broker."""
    HOLD = "hold"
    """A worker holds delayed messages and still runs others."""
    LEVELS = "levels"
    """A queue has priority levels."""
    DECLARE = "declare"
    """The queue type exists."""
    CONTROL = "control"
    """A worker has its own queues for remote control and events."""


class Pair(NamedTuple):
    """Releases of Celery and RabbitMQ with which a feature of a queue type fails.

    A range includes its first release and excludes its second; None is open. `celery_fix` and `broker_fix`
    are the first releases that work, empty if no release does.
    """

    feature: Feature
    queue: str
    celery: tuple[Release | None, Release | None]
    broker: tuple[Release | None, Release | None]
    what: str
    celery_fix: str = ""
    broker_fix: str = ""


PAIRS = (
    # celery/worker/consumer/tasks.py before 5.5 always requests a global prefetch.
    Pair(
        Feature.CONSUME,
        "quorum",
        (None, (5, 5, 0)),
        (None, None),
        "Celery requests a global prefetch, which RabbitMQ refuses for quorum queues (540)",
        celery_fix="5.5",
    ),
    # https://github.com/celery/celery/issues/9867 and pull request 10095, which drops the headers of dead
    # letters before a task is sent again; RabbitMQ 4.0.1 no longer treats these messages as a cycle.
    Pair(
        Feature.RETRY,
        "quorum",
        ((5, 5, 0), (5, 6, 3)),
        (None, (4, 0, 1)),
        "RabbitMQ drops a retry that was delayed before, because it detects a cycle of dead letters",
        celery_fix="5.6.3",
        broker_fix="4.0.1",
    ),
    # kombu.transport.pyamqp requests a prefetch for each consumer from 4.0.
    Pair(
        Feature.HOLD,
        "classic",
        (None, None),
        ((4, 0, 0), None),
        "prefetch is fixed, so each delayed message occupies one of a few places",
    ),
    # https://www.rabbitmq.com/docs/quorum-queues#priorities
    Pair(
        Feature.LEVELS,
        "quorum",
        (None, None),
        (None, (4, 0, 0)),
        "quorum queues have no priorities",
        broker_fix="4.0",
    ),
    # https://www.rabbitmq.com/docs/quorum-queues
    Pair(
        Feature.DECLARE,
        "quorum",
        (None, None),
        (None, (3, 8, 0)),
        "this version of RabbitMQ has no quorum queues",
        broker_fix="3.8",
    ),
    # celery/celery pull requests 10287 and 10290: exclusive from 5.7 on, by settings in 5.6.
    Pair(
        Feature.CONTROL,
        "classic",
        (None, (5, 6, 0)),
        ((4, 3, 0), None),
        "RabbitMQ refuses the transient queues for remote control and events, so no worker starts",
        celery_fix="5.7",
    ),
)


def release(version: str) -> Release:
    """A version as three numbers; a missing patch number counts as 0, the worst case."""
    numbers = [int(part) for part in version.split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def broken(feature: Feature, queue: str, celery: str, broker: str | None) -> Pair | None:
    """The pair with which a feature of a queue type fails; an unknown RabbitMQ may be any version."""
    for pair in PAIRS:
        if (
            pair.feature is feature
            and pair.queue == queue
            and _within(celery, pair.celery)
            and (broker is None or _within(broker, pair.broker))
        ):
            return pair
    return None


def _within(version: str, bounds: tuple[Release | None, Release | None]) -> bool:
    first, end = bounds
    return (first is None or release(version) >= first) and (end is None or release(version) < end)
