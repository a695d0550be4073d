"""The smallest number of slots that keeps a promise, and what a number of slots can take."""

from __future__ import annotations

import math
from typing import NamedTuple

from policycompiler.sizing.line import CELERY_SECONDS, Line
from policycompiler.sizing.services import Service

CAUTION = 1.1
"""The factor on computed waits: their largest error on the unsafe side, compared with simulations.

Real arrivals come in bursts: if the declared rate is not the peak rate, 2 is the better factor (measured).
"""
SHARE_CAUTION = 1.1
"""The factor on the computed share of messages that wait too long; counts where hardly any message waits.

Erlang C is up to 10 % too low for very unequal runs, compared with simulations.
"""

_ROUNDING = 1e-12
_HALVINGS = 45
"""Enough for more than twelve digits."""


class Promise(NamedTuple):
    """At least this share of the messages waits no longer than `seconds`; slots are busy up to `ceiling`.

    `share` is 0.99 for p99. `ceiling` is below 1.
    """

    seconds: float
    share: float
    ceiling: float
    caution: float = CAUTION

    def holds(self, line: Line) -> bool:
        """Whether the line keeps the promise, with Celery's own delay added to each wait."""
        if line.utilization > self.ceiling * (1 + _ROUNDING):
            return False
        wait = line.wait_quantile(1 - (1 - self.share) / SHARE_CAUTION)
        return wait * self.caution + CELERY_SECONDS <= self.seconds


class Held(NamedTuple):
    """What a task on the same slots suffers: this share of its messages waits `seconds`, in the mean."""

    share: float
    seconds: float


def smallest_slots(rate: float, service: Service, promise: Promise) -> int | None:
    """The smallest number of slots that keeps the promise; at least 1.

    None if no number does, because the promised wait is below Celery's own delay.
    """
    if promise.seconds < CELERY_SECONDS:
        return None

    def enough(slots: int) -> bool:
        return promise.holds(Line(rate, service, slots))

    short = max(math.ceil(rate * service.mean / promise.ceiling * (1 - _ROUNDING)), 1) - 1
    step = 1
    while not enough(short + step):
        short += step
        step *= 2
    found = short + step
    while found - short > 1:
        middle = (short + found) // 2
        short, found = (short, middle) if enough(middle) else (middle, found)
    return found


def largest_rate(service: Service, slots: int, promise: Promise) -> float:
    """The largest number of messages per second with which the promise holds; infinite if runs take no time.

    Divided by the rate of today, it is the factor by which the traffic can grow.
    It is 0 if the promised wait is below Celery's own delay.
    """
    if promise.seconds < CELERY_SECONDS:
        return 0.0
    if not service.mean:
        return math.inf
    highest = promise.ceiling * slots / service.mean
    if promise.holds(Line(highest, service, slots)):
        return highest
    lowest = 0.0
    for _ in range(_HALVINGS):
        middle = (lowest + highest) / 2
        lowest, highest = (
            (middle, highest) if promise.holds(Line(middle, service, slots)) else (lowest, middle)
        )
    return lowest


def last_start_seconds(messages: float, line: Line) -> float:
    """The mean wait of the last of many messages that arrive at once: first in, first out.

    Messages that arrive later wait behind it, so they do not count.
    """
    return _backlog(messages, line) * line.service.mean / line.slots if line.slots else math.inf


def slots_for_burst(messages: float, line: Line, seconds: float) -> int:
    """The smallest number of slots with which the last of many messages starts within a time above 0."""
    if messages <= 1:
        return 1
    found = max(math.ceil(line.load), 1)
    step = 1
    while last_start_seconds(messages, line._replace(slots=found)) > seconds:
        found, step = found + step, step * 2
    short = max(found - step // 2, 0)
    while found - short > 1:
        middle = (short + found) // 2
        late = last_start_seconds(messages, line._replace(slots=middle)) > seconds
        short, found = (middle, found) if late else (short, middle)
    return found


def drain_seconds(messages: float, line: Line) -> float:
    """The mean time until the backlog of many messages that arrive at once is gone.

    Meanwhile, new messages come at the rate of the line. Infinite if they keep all slots busy.
    """
    if line.utilization >= 1:
        return math.inf
    return _backlog(messages, line) * line.service.mean / (line.slots - line.load)


def held_by(neighbor: Line) -> Held:
    """How often, and for how long, runs of a neighbor hold all slots: head-of-line blocking.

    `neighbor` is a line of its tasks alone, on the slots that they share with others. A short task meets it
    no matter how short its own runs are: its wait depends on the longest runs of the queue.
    """
    return Held(neighbor.waiting_share, neighbor.mean_delay)


def _backlog(messages: float, line: Line) -> float:
    """How many of these messages, and of those already there, cannot start at once."""
    if line.utilization >= 1:
        return messages
    return max(messages + line.mean_waiting - (line.slots - line.load), 0.0)
