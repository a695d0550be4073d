"""What takes the messages: a broker, and workers with Celery's settings."""

from __future__ import annotations

from typing import NamedTuple


class Broker(NamedTuple):
    """In which order a broker gives the messages of several queues and priorities to a worker.

    `steps` are the priorities that it keeps apart; a message belongs to the highest step up to its own.
    `over_queues`: a more urgent message is taken first, whatever its queue. Otherwise the queues take turns,
    and only within a queue the urgent ones come first.
    """

    steps: tuple[int, ...]
    highest_first: bool
    over_queues: bool

    def level(self, priority: int) -> int:
        """The place of a priority in the order, 0 is the first."""
        step = sum(1 for step in self.steps[1:] if step <= priority)
        return len(self.steps) - 1 - step if self.highest_first else step


REDIS = Broker(steps=(0, 3, 6, 9), highest_first=False, over_queues=True)
"""One BRPOP over the lists of all queues and steps, step by step. The queue that was served becomes the last.

Source: kombu 5.7, `Channel._brpop_start` and `round_robin_cycle`.
"""
RABBITMQ = Broker(steps=tuple(range(10)), highest_first=True, over_queues=False)
"""Queues with `x-max-priority`; each one serves its consumers in turns."""


class Worker(NamedTuple):
    """One worker process.

    `slots` is its concurrency. With `least_slots` it is the maximum of the autoscaler, and `least_slots` the
    minimum; a new slot is ready after `start_seconds`.
    """

    queues: tuple[str, ...]
    slots: int
    prefetch_multiplier: int = 4
    acks_late: bool = False
    least_slots: int | None = None
    start_seconds: float = 0.0

    @property
    def reserves(self) -> int:
        """The largest number of messages that are not acknowledged; 0 means no limit, as in Celery."""
        return self.prefetch_multiplier * self.slots


class Fleet(NamedTuple):
    """A broker and the workers on it."""

    broker: Broker
    workers: tuple[Worker, ...]
