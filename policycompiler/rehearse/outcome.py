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


class Outage(NamedTuple):
    """What a breaker showed while a dependency did not answer.

    `sent` messages would call it; `failed` of them failed for good, and `unended` did not end. `calls` were
    made while it was down; the breaker lets `most_calls` through. `retries`: failed calls are retried.
    """

    dependency: str
    seconds: float
    sent: int
    calls: int
    most_calls: int
    failed: int
    unended: int
    retries: bool

    @property
    def problem(self) -> str:
        """What is not as planned."""
        if self.unended:
            return f"{self.unended} of the messages did not end"
        if self.failed and self.retries:
            return f"{self.failed} of the messages failed"
        return f"more than {self.most_calls} calls" if self.calls > self.most_calls else ""


class Pace(NamedTuple):
    """The most calls of a dependency within a second, against its rate in the rehearsal."""

    dependency: str
    calls: int
    most_calls: int
    rate_per_second: float

    @property
    def problem(self) -> str:
        """What is not as planned."""
        return f"more than {self.most_calls} calls" if self.calls > self.most_calls else ""


class Kill(NamedTuple):
    """What keys showed when a worker was killed in the middle of `running` runs.

    `sent` messages of a task have `keys` different keys. `missing` keys had no effect, `repeated` ones had it
    more than once; `unguarded` of these were killed in the moment between the effect and its record.
    """

    task: str
    worker: str
    running: int
    sent: int
    keys: int
    missing: int
    repeated: int
    unguarded: int
    unended: int

    @property
    def problem(self) -> str:
        """What is not as planned."""
        repeated = self.repeated - self.unguarded
        found = {
            f"{self.unended} of the messages did not end": self.unended,
            f"{self.missing} keys had no effect": self.missing,
            f"{repeated} effects happened more than once": repeated,
            "no worker was killed, because none ran a task for long enough": not self.worker,
        }
        return "; ".join(problem for problem, is_there in found.items() if is_there)


class Outcome(NamedTuple):
    """A whole rehearsal.

    `broker` is the broker for people. `workers` maps each worker that got ready to its slots here and in the
    plan. `problems` are what went wrong besides single probes. `left` is the number of messages that were
    sent and had not ended when the workers had stopped. `notes` say what was not rehearsed. `guards` are
    what guards showed.
    """

    broker: str
    workers: Mapping[str, tuple[int, int]]
    arrivals: Sequence[Arrival]
    waits: Sequence[Waits]
    left: int
    problems: Sequence[str]
    notes: Sequence[str]
    guards: Sequence[Outage | Pace | Kill] = ()

    @property
    def succeeded(self) -> bool:
        """Whether each probe ran where it was planned, and nothing was lost."""
        return not (
            self.problems or self.left or any(each.problem for each in (*self.arrivals, *self.guards))
        )
