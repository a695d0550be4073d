"""The waits that a simulation measured."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Waits(NamedTuple):
    """The waits of all messages, in seconds, the shortest first."""

    seconds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean wait in seconds; 0 without messages."""
        return math.fsum(self.seconds) / len(self.seconds) if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """The wait in seconds that this share of the messages does not exceed; 0 without messages."""
        if not self.seconds:
            return 0.0
        return self.seconds[max(math.ceil(share * len(self.seconds)) - 1, 0)]

    def exceeds(self, seconds: float) -> float:
        """The share of the messages that waited longer than this."""
        if not self.seconds:
            return 0.0
        return 1 - bisect_right(self.seconds, seconds) / len(self.seconds)


def measured(seconds: Iterable[float]) -> Waits:
    """The waits in any order."""
    return Waits(tuple(sorted(seconds)))
