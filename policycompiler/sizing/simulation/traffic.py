"""What arrives: messages at random, at equal intervals or in bursts, and how long their runs take."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from policycompiler.runs import run_times
from policycompiler.sizing.services import Service, constant, exponential, lognormal


class Poisson(NamedTuple):
    """Messages that come independently of each other."""

    per_second: float

    def times(self, random: Random) -> Iterator[float]:
        """The seconds at which they come, without end."""
        now = 0.0
        while self.per_second:
            now += random.expovariate(self.per_second)
            yield now


class Regular(NamedTuple):
    """Messages at equal intervals, such as those of beat."""

    every: float
    first: float = 0.0

    def times(self, _: Random) -> Iterator[float]:
        """The seconds at which they come, without end."""
        number = 0
        while True:
            yield self.first + number * self.every
            number += 1


class Burst(NamedTuple):
    """Many messages at the same moment, once."""

    messages: int
    second: float = 0.0

    def times(self, _: Random) -> Iterator[float]:
        """The second at which they come, once for each."""
        for _message in range(self.messages):
            yield self.second


Arrivals = Poisson | Regular | Burst


class Constant(NamedTuple):
    """Runs of equal length."""

    seconds: float

    def draw(self, _: Random) -> float:
        """One run time in seconds."""
        return self.seconds

    @property
    def service(self) -> Service:
        """What the formulas need."""
        return constant(self.seconds)


class Exponential(NamedTuple):
    """Exponential run times."""

    mean: float

    def draw(self, random: Random) -> float:
        """One run time in seconds."""
        return random.expovariate(1 / self.mean)

    @property
    def service(self) -> Service:
        """What the formulas need."""
        return exponential(self.mean)


class LogNormal(NamedTuple):
    """Log-normal run times through two percentiles, in seconds; a longer run than `limit` is killed then."""

    p50: float
    p99: float
    limit: float | None = None

    def draw(self, random: Random) -> float:
        """One run time in seconds."""
        sigma = run_times(self.p50, self.p99).sigma
        seconds = min(self.p50, self.p99) * math.exp(random.gauss(0, sigma))
        return min(seconds, self.limit) if self.limit else seconds

    @property
    def service(self) -> Service:
        """What the formulas need."""
        return lognormal(self.p50, self.p99, self.limit)


RunTime = Constant | Exponential | LogNormal


class Flow(NamedTuple):
    """The messages of one task.

    `priority` is Celery's number, whose direction depends on the broker. `rate_limit` is that of the task, in
    runs per second of each worker.
    """

    name: str
    queue: str
    arrivals: tuple[Arrivals, ...]
    run_time: RunTime
    priority: int = 0
    rate_limit: float | None = None


class Message(NamedTuple):
    """A message: when it arrives, and how long its run will take, in seconds."""

    arrived: float
    flow: int
    run: float


def messages(flows: tuple[Flow, ...], seconds: float, seed: int) -> Iterator[Message]:
    """All messages that arrive before `seconds`, in order; `flow` is the place of theirs in `flows`.

    A flow has the same messages whatever the others are: comparisons of fleets are on the same traffic.
    """
    return heapq.merge(*(_of_flow(number, flow, seconds, seed) for number, flow in enumerate(flows)))


def _of_flow(number: int, flow: Flow, seconds: float, seed: int) -> Iterator[Message]:
    runs = Random(f"{seed}/{flow.name}/runs")  # noqa: S311 - reproducible, and no secret
    sources = (
        source.times(Random(f"{seed}/{flow.name}/{place}"))  # noqa: S311
        for place, source in enumerate(flow.arrivals)
    )
    draw = flow.run_time.draw
    for arrived in heapq.merge(*sources):
        if arrived >= seconds:
            break
        yield Message(arrived, number, draw(runs))
