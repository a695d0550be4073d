"""Random queues, and the smallest number of slots that simulations find for them, for tests and the benchmark."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from policycompiler.sizing import CELERY_SECONDS, Line, Promise, Service, mixture
from policycompiler.sizing.simulation import (
    Constant,
    Exponential,
    Flow,
    LogNormal,
    Poisson,
    RunTime,
    Waits,
    ideal_waits,
    measured,
    messages,
)

CLEAR = 1.25
"""A simulated wait that is this factor away from the promise needs no longer simulation."""
FEWEST, MOST = 40_000, 2_500_000
"""Messages of a simulation, which grow fivefold until the answer is clear."""


class Case(NamedTuple):
    """A queue: its tasks with rates and run times, and what was promised."""

    tasks: tuple[tuple[float, RunTime], ...]
    promise: Promise

    @property
    def rate(self) -> float:
        return sum(rate for rate, _ in self.tasks)

    @property
    def service(self) -> Service:
        return mixture((rate, runs.service) for rate, runs in self.tasks)

    def line(self, slots: int) -> Line:
        return Line(self.rate, self.service, slots)

    def waits(self, slots: int, count: int, seed: int) -> Waits:
        """The waits of so many messages, without those at the start."""
        flows = tuple(
            Flow(str(place), "q", (Poisson(rate),), runs) for place, (rate, runs) in enumerate(self.tasks)
        )
        arriving = messages(flows, count / self.rate, seed)
        return measured(
            wait for place, wait in enumerate(ideal_waits(arriving, slots)) if place >= count // 20
        )

    def holds(self, slots: int, seed: int, most: int = MOST) -> bool:
        """Whether simulations keep the promise. They do without the caution of the formulas."""
        if slots * self.promise.ceiling * (1 + 1e-9) < self.rate * self.service.mean:
            return False
        count = FEWEST
        while True:
            wait = self.waits(slots, count, seed).quantile(self.promise.share) + CELERY_SECONDS
            far = max(wait, self.promise.seconds) > CLEAR * min(wait, self.promise.seconds)
            if far or 5 * count > most:
                return wait <= self.promise.seconds
            count *= 5


def random_case(seed: int) -> Case:
    """A queue of up to 40 busy slots, with waits promised from a small part of a run to many runs."""
    random = Random(seed)
    scale = math.exp(random.uniform(math.log(0.02), math.log(100)))
    load = math.exp(random.uniform(math.log(0.1), math.log(40)))
    kinds = (_constant, _exponential, _lognormal, _limited, _limited)
    if random.random() < 0.2:
        rare = random.choice([0.02, 0.1, 0.3])
        shares = (
            (1 - rare, _limited(random, scale)),
            (rare, _limited(random, scale * random.choice([3, 10]))),
        )
    else:
        shares = ((1.0, random.choice(kinds)(random, scale)),)
    mean = mixture((share, runs.service) for share, runs in shares).mean
    seconds = mean * math.exp(random.uniform(math.log(0.05), math.log(30))) + CELERY_SECONDS
    promise = Promise(seconds, random.choice([0.95, 0.99, 0.99]), random.choice([0.7, 0.8, 0.9]))
    return Case(tuple((load / mean * share, runs) for share, runs in shares), promise)


def _constant(_: Random, scale: float) -> RunTime:
    return Constant(scale)


def _exponential(_: Random, scale: float) -> RunTime:
    return Exponential(scale)


def _lognormal(random: Random, scale: float) -> RunTime:
    return LogNormal(scale, scale * random.choice([1.5, 3, 6, 12]))


def _limited(random: Random, scale: float) -> RunTime:
    p99 = scale * random.choice([2, 5, 10, 20, 30])
    return LogNormal(scale, p99, p99 * random.choice([1.2, 1.5, 2]))
