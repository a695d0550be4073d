"""What a Celery and a RabbitMQ of certain versions cannot do together."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

Release: TypeAlias = tuple[int, int, int]


class Feature(StrEnum):
    """What a deployment may need of Celery and RabbitMQ."""

    CONSUME = "consume"
    """A worker takes messages from a queue."""
    RETRY = "retry"
    """A task is sent again after a delay that the broker counts."""
    HOLD = "hold"
    """A worker holds delayed messages and goes on with others."""
    LEVELS = "levels"
    """A queue has levels of priority."""
    DECLARE = "declare"
    """The queue type exists."""
    CONTROL = "control"
    """A worker has a queue of its own for remote control and events."""


class Pair(NamedTuple):
    """Releases of Celery and RabbitMQ that fail at a feature of a queue type.

    Each bound is a first release: from the first of a range, before its second; None is open. `celery_fix`
    and `broker_fix` are what to run instead, empty where no release helps.
    """

    feature: Feature
    queue: str
    celery: tuple[Release | None, Release | None]
    broker: tuple[Release | None, Release | None]
    what: str
    celery_fix: str = ""
    broker_fix: str = ""


PAIRS = (
    # celery/worker/consumer/tasks.py before 5.5 asks for a global prefetch in any case.
    Pair(
        Feature.CONSUME,
        "quorum",
        (None, (5, 5, 0)),
        (None, None),
        "it asks for a global prefetch, which RabbitMQ refuses of quorum queues (540)",
        celery_fix="5.5",
    ),
    # https://github.com/celery/celery/issues/9867 and pull request 10095, which drops the headers of dead
    # letters before a task is sent again; RabbitMQ 4.0.1 takes no such message for a cycle.
    Pair(
        Feature.RETRY,
        "quorum",
        ((5, 5, 0), (5, 6, 3)),
        (None, (4, 0, 1)),
        "RabbitMQ takes a retry that was delayed before for a cycle of dead letters and drops it",
        celery_fix="5.6.3",
        broker_fix="4.0.1",
    ),
    # RabbitMQ 4.0 release notes; kombu.transport.pyamqp asks for a prefetch of each consumer from then on.
    Pair(
        Feature.HOLD,
        "classic",
        (None, None),
        ((4, 0, 0), None),
        "the prefetch is fixed, so each delayed message takes one of a few places",
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
        "there are no quorum queues",
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
    """A version as three numbers; the patch that is not said counts as the first, the worst one."""
    numbers = [int(part) for part in version.split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def broken(feature: Feature, queue: str, celery: str, broker: str | None) -> Pair | None:
    """The pair that fails at a feature of a queue type; an unknown RabbitMQ may be any."""
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
