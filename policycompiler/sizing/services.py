"""How long runs hold a slot: a distribution by its first three moments.

The moments suffice for the waits of `line.py`, and those of a mixture are weighted means. So the tasks of one
queue add up to one service, whatever their shapes are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from policycompiler.runs import Z99, run_times

WIDEST = 2 * Z99
"""The largest spread: above it the mean would exceed p99, an estimate without a basis."""

_NORMAL = NormalDist()
_EQUAL = 1e-6
"""Runs that differ by less are equal: their third moment is lost to rounding."""


class Service(NamedTuple):
    """The mean of the run time in seconds, of its square, and of its cube."""

    mean: float
    square: float
    cube: float

    def longer(self, seconds: float) -> Service:
        """The same runs, each longer by a fixed time."""
        return Service(
            self.mean + seconds,
            self.square + 2 * seconds * self.mean + seconds**2,
            self.cube + 3 * seconds * self.square + 3 * seconds**2 * self.mean + seconds**3,
        )

    @property
    def variation(self) -> float:
        """The squared coefficient of variation: 0 for equal runs, 1 for exponential ones."""
        return max(self.square / self.mean**2 - 1, 0.0) if self.mean else 0.0

    @property
    def residual_mean(self) -> float:
        """The mean seconds that a run still takes, seen at a random moment of a run."""
        return self.square / (2 * self.mean) if self.mean else 0.0

    @property
    def residual_variation(self) -> float:
        """The squared coefficient of variation of this rest: 1/3 for equal runs, 1 for exponential ones."""
        return max(4 / 3 * self.mean * self.cube / self.square**2 - 1, 0.0) if self.square else 0.0

    def rest_exceeded_by(self, share: float) -> float:
        """The seconds that this share of the runs still takes longer than, seen at a random moment of a run.

        Exact for runs of two lengths, and near it for others: it takes the two lengths with the same moments.
        """
        ended = self.mean * (1 - share)
        spread = math.sqrt(max(self.square - self.mean**2, 0.0))
        if spread <= _EQUAL * self.mean:
            return ended
        skew = (self.cube - 3 * self.mean * self.square + 2 * self.mean**3) / spread**3
        short, long = (self.mean + spread * (skew / 2 + sign * math.hypot(skew / 2, 1)) for sign in (-1, 1))
        if ended <= short:
            return ended
        shorts = (long - self.mean) / (long - short)
        return min((ended - shorts * short) / (1 - shorts), long)


def constant(seconds: float) -> Service:
    """Runs of equal length."""
    return Service(seconds, seconds**2, seconds**3)


def exponential(mean: float) -> Service:
    """Exponential run times: the assumption behind Erlang's formulas."""
    return Service(mean, 2 * mean**2, 6 * mean**3)


@lru_cache(maxsize=1 << 12)
def lognormal(p50: float | None, p99: float, limit: float | None = None) -> Service:
    """The log-normal run times through both percentiles, in seconds.

    Args:
        p50: half of the runs finish within this time. Without it, `runs.py` estimates the mean from p99.
            A p99 of more than 50,000 times p50 counts as one of 50,000 times p50.
        p99: 99 of 100 runs finish within this time. A value up to p50 means runs of equal length.
        limit: the hard time limit. A longer run holds its slot until then and is killed.
    """
    runs = run_times(p50, p99)
    runs = runs._replace(sigma=min(runs.sigma, WIDEST))
    median, sigma = runs.exceeded_by(0.5), runs.sigma
    if not sigma:
        return constant(min(median, limit or math.inf))

    def moment(power: int) -> float:
        whole = median**power * math.exp((power * sigma) ** 2 / 2)
        if not limit:
            return whole
        z = math.log(limit / median) / sigma
        return whole * _NORMAL.cdf(z - power * sigma) + limit**power * _NORMAL.cdf(-z)

    return Service(moment(1), moment(2), moment(3))


def mixture(parts: Iterable[tuple[float, Service]]) -> Service:
    """What a queue of several tasks has: each is weighted by its rate; no time at all without any rate."""
    listed = [(rate, service) for rate, service in parts if rate > 0]
    total = math.fsum(rate for rate, _ in listed)
    if not total:
        return constant(0.0)
    mean, square, cube = (
        math.fsum(rate * service[power] for rate, service in listed) / total for power in range(3)
    )
    return Service(mean, square, cube)
