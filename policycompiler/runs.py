"""How long runs take: the log-normal distribution through the declared run times.

Run times are right-skewed: most are short, and a few take many times as long.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

Z99 = 2.326348
"""The 99th percentile of the standard normal distribution."""
MEAN_OF_P99 = 0.5
"""If only p99 is declared, half of it is a cautious mean."""

_NORMAL = NormalDist()
_NARROWEST = 1e-9
"""The spread of runs of equal length; with a spread of 0 there is no tail to compute."""


_quantile = cache(_NORMAL.inv_cdf)


class RunTimes(NamedTuple):
    """A log-normal distribution by its 99th percentile and the standard deviation of the logarithm."""

    p99: float
    sigma: float

    @property
    def mean(self) -> float:
        """The mean, at most the 99th percentile: an estimate beyond it has no basis."""
        median = self.p99 * math.exp(-self.sigma * Z99)
        return min(median * math.exp(self.sigma**2 / 2), self.p99)

    def exceeded_by(self, share: float) -> float:
        """The duration in seconds that this share of the runs exceeds."""
        return self.p99 * math.exp(self.sigma * (_quantile(1 - share) - Z99))

    def share_over(self, seconds: float) -> float:
        """The share of the runs that take longer."""
        z = Z99 + math.log(seconds / self.p99) / max(self.sigma, _NARROWEST)
        return math.erfc(z / math.sqrt(2)) / 2


def run_times(p50: float | None, p99: float) -> RunTimes:
    """The distribution through both values; without p50, the one with a mean of `MEAN_OF_P99` times p99."""
    if p50 is None:
        # The mean over the 99th percentile is exp(sigma²/2 - Z99·sigma).
        return RunTimes(p99, Z99 - math.sqrt(Z99**2 + 2 * math.log(MEAN_OF_P99)))
    return RunTimes(p99, math.log(max(p99 / p50, 1)) / Z99)
