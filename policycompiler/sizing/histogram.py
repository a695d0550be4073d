"""Measured run times as a histogram, as Prometheus has them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Quantile(NamedTuple):
    """A percentile of measured run times: it is above `low`, and at most `high`, both in seconds.

    `seconds` is the estimate between them. In the last bucket `high` is infinite, and the estimate is `low`.
    """

    low: float
    high: float
    seconds: float

    @property
    def at_least(self) -> bool:
        """Whether only the lower bound is known."""
        return math.isinf(self.high)


class Histogram(NamedTuple):
    """The number of runs that took at most each bound, in seconds; bounds and numbers ascend."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        """The number of all runs."""
        return self.counts[-1] if self.counts else 0.0

    def up_to(self, seconds: float) -> float:
        """The number of runs that certainly took at most so long."""
        place = bisect_right(self.bounds, seconds)
        return self.counts[place - 1] if place else 0.0

    def longer(self, seconds: float) -> float:
        """The number of runs that certainly took longer."""
        place = bisect_left(self.bounds, seconds)
        return self.total - self.counts[place] if place < len(self.counts) else 0.0

    def quantile(self, share: float) -> Quantile | None:
        """The percentile of this share, such as 0.99 for p99: linear within its bucket, as in Prometheus.

        None without any run.
        """
        if self.total <= 0:
            return None
        rank = share * self.total
        place = bisect_left(self.counts, rank)
        high, count = self.bounds[place], self.counts[place]
        low = self.bounds[place - 1] if place else 0.0
        before = self.counts[place - 1] if place else 0.0
        if math.isinf(high):
            return Quantile(low, high, low)
        # Rounding must not lead out of the bucket.
        return Quantile(low, high, min(low + (high - low) * (rank - before) / (count - before), high))


def histogram(counted: Iterable[tuple[float, float]]) -> Histogram:
    """The histogram of bounds with the numbers of runs up to them, in any order.

    A number below that of a smaller bound is raised to it: buckets that appeared later have fewer runs.
    """
    bounds, counts = list[float](), list[float]()
    for bound, count in sorted(counted):
        bounds.append(bound)
        counts.append(max(count, counts[-1] if counts else 0.0))
    return Histogram(tuple(bounds), tuple(counts))


def mixed(parts: Iterable[Histogram]) -> Histogram:
    """The runs of several histograms together, whatever their bounds are."""
    listed = [each for each in parts if each.bounds]
    bounds = sorted({bound for each in listed for bound in each.bounds})
    return Histogram(tuple(bounds), tuple(sum(each.up_to(bound) for each in listed) for bound in bounds))
