"""Latency classes: the latency target that a team chooses for a task by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class LatencyClass(NamedTuple):
    """A latency target, and the longest run that can share a queue under that target."""

    queue_wait_p99_seconds: int | float
    runtime_p99_limit_seconds: int | float


LatencyClasses = Mapping[str, LatencyClass]
"""By name, from the shortest latency target to the longest."""

LATENCY_CLASSES: LatencyClasses = MappingProxyType(
    {
        "interactive": LatencyClass(1, 10),
        "standard": LatencyClass(30, 300),
        "batch": LatencyClass(900, 21600),
    }
)
"""The classes of every policy file that does not change them. The run limit is ten times the latency target,
or six hours for batch. A longer run occupies a slot for too long, and other tasks miss their target."""

DEFAULT_CLASS = "standard"
"""For a task without a class: a target that most tasks can meet, and short enough for users."""

PROMISES_APART = 100.0
"""From this factor between two latency targets, tasks share neither queue nor worker. Interactive (1 s) and
batch (15 min) do not share; neighboring classes (factor 30) may."""
