"""The ideal queue: each free slot takes the oldest message at once, without a worker in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapreplace

from policycompiler.sizing.simulation.traffic import Message


def ideal_waits(arriving: Iterable[Message], slots: int) -> Iterator[float]:
    """The waits in seconds, in the order of the messages, which are the oldest first.

    Some five times as fast as a fleet. A fleet that reserves nothing has the same waits.

    Source: J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers", 1955.
    """
    free = [0.0] * slots
    for arrived, _, run in arriving:
        earliest = free[0]
        start = max(arrived, earliest)
        heapreplace(free, start + run)
        yield start - arrived
