"""Latency classes: the promise that a task's team chooses by a name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class LatencyClass(NamedTuple):
    """A bound on the wait in the queue, and the longest run that can live beside others under it."""

    queue_wait_p99_seconds: int | float
    runtime_p99_limit_seconds: int | float


LatencyClasses = Mapping[str, LatencyClass]
"""By name, from the most urgent to the most patient."""

LATENCY_CLASSES: LatencyClasses = MappingProxyType(
    {
        "interactive": LatencyClass(1, 10),
        "standard": LatencyClass(30, 300),
        "batch": LatencyClass(900, 21600),
    }
)
"""Those of every policy file that does not change them. A run of ten waits (or of batch's six hours) is the
most a neighbour can bear: a slot that is held longer than that is a slot less for everybody else."""

DEFAULT_CLASS = "standard"
"""For a task that says nothing: late enough for anything, soon enough that nobody stares at a screen."""

PROMISES_APART = 100.0
"""The factor between two promised waits from which on they share neither queue nor worker: interactive (1 s)
and batch (15 min) do not, neighbouring classes (30) may."""
