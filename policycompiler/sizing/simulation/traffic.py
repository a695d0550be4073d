"""What arrives: messages at random, at equal intervals or in bursts, and how long their runs take."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import repeat
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

    def times(self, _: Random) -> Iterator[float]:
        """The run times in seconds, without end."""
        return repeat(self.seconds)

    @property
    def service(self) -> Service:
        """What the formulas need."""
        return constant(self.seconds)


class Exponential(NamedTuple):
    """Exponential run times."""

    mean: float

    def times(self, random: Random) -> Iterator[float]:
        """The run times in seconds, without end."""
        rate = 1 / self.mean
        while True:
            yield random.expovariate(rate)

    @property
    def service(self) -> Service:
        """What the formulas need."""
        return exponential(self.mean)


class LogNormal(NamedTuple):
    """Log-normal run times through two percentiles, in seconds; a longer run than `limit` is killed then."""

    p50: float
    p99: float
    limit: float | None = None

    def times(self, random: Random) -> Iterator[float]:
        """The run times in seconds, without end."""
        mu, sigma = math.log(min(self.p50, self.p99)), run_times(self.p50, self.p99).sigma
        longest = self.limit or math.inf
        while True:
            yield min(math.exp(random.gauss(mu, sigma)), longest)

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
    runs = flow.run_time.times(Random(f"{seed}/{flow.name}/runs"))  # noqa: S311 - no secret
    sources = (
        source.times(Random(f"{seed}/{flow.name}/{place}"))  # noqa: S311
        for place, source in enumerate(flow.arrivals)
    )
    for arrived in heapq.merge(*sources):
        if arrived >= seconds:
            break
        yield Message(arrived, number, next(runs))
