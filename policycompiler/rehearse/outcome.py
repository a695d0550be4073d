"""What a rehearsal showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Arrival(NamedTuple):
    """What became of a probe: the worker that ran it, its queue and its limits in seconds, soft and hard.

    `problem` says why it did not run, empty if it did.
    """

    kind: str
    name: str
    task: str
    worker: str
    queue: str
    limits: tuple[float | None, float | None]
    problem: str


class Waits(NamedTuple):
    """The measured waits of a burst of a latency class, in seconds, and its promise."""

    latency: str
    sent: int
    ran: int
    p50_seconds: float
    p99_seconds: float
    promise_seconds: float


class Outcome(NamedTuple):
    """A whole rehearsal.

    `broker` is the broker for people. `workers` maps each worker that got ready to its slots here and in the
    plan. `problems` are what went wrong besides single probes. `left` is the number of messages that were
    sent and had not ended when the workers had stopped. `notes` say what was not rehearsed.
    """

    broker: str
    workers: Mapping[str, tuple[int, int]]
    arrivals: Sequence[Arrival]
    waits: Sequence[Waits]
    left: int
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def succeeded(self) -> bool:
        """Whether each probe ran where it was planned, and nothing was lost."""
        return not (self.problems or self.left or any(each.problem for each in self.arrivals))
