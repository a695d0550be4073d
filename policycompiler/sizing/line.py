"""Waits of a queue whose messages come at random and are taken first in, first out, by equal slots: M/G/c.

One Celery worker behaves like this to within 4 %, plus `CELERY_SECONDS` (measured). So do several workers on
one queue if each reserves no more than it runs: `acks_late` and a prefetch multiplier of 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from policycompiler.sizing.erlang import erlang_c
from policycompiler.sizing.services import Service

CELERY_SECONDS = 0.003
"""What Celery itself adds to each wait, from publisher to the first line of the task.

Measured: 2 to 4 ms on loopback, with Celery 5.7 on Redis and on RabbitMQ.
"""

TURNAROUND_SECONDS = 0.003
"""How long a slot is free between two runs although messages wait: its load counts them.

Measured: 2 to 5 ms in the mean, with prefork and threads of Celery 5.7 on Redis and on RabbitMQ
(`tests/speed/waits.py`).
"""

_MOST_UNEQUAL, _LONG, _GROWTH, _FREE = 2.0, 0.5, 0.4, 0.2
"""The constants of `relief`."""
_SHORT = 0.7
"""Waits up to this part of the mean wait of exponential runs are short ones (`least_wait`)."""
_CLOSE = 1e-6
_ROUNDS = 30


class Line(NamedTuple):
    """A queue: messages per second, what a run takes, and the number of slots that take from the queue."""

    rate: float
    service: Service
    slots: int

    @property
    def load(self) -> float:
        """The mean number of busy slots, if there are enough."""
        return self.rate * self.service.mean

    @property
    def utilization(self) -> float:
        """The busy share of the slots; from 1 on, the backlog grows without end."""
        if self.slots:
            return self.load / self.slots
        return math.inf if self.rate else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of messages that wait at all: Erlang C, which is exact for exponential runs.

        For one slot it is exact for all runs. For equal runs on many slots it is up to 10 % too high.
        """
        if self.utilization >= 1:
            return 1.0
        return erlang_c(self.slots, self.load) if self.load else 0.0

    @property
    def mean_wait(self) -> float:
        """The mean wait of all messages, in seconds; infinite from a utilization of 1 on.

        Interpolates between exponential and equal runs by the variation of the service. The waits of equal
        runs are the approximation of Cosmetatos. Exact for one slot (Pollaczek-Khinchine) and for exponential
        runs (Erlang).

        Sources: E. Page, "Queueing Theory in OR", 1972; G. P. Cosmetatos, "Some approximate equilibrium
        results for the multi-server queue M/G/r", Operational Research Quarterly 27, 1976.
        """
        return self.waiting_share * self.mean_delay if self.load else 0.0

    @property
    def mean_delay(self) -> float:
        """The mean wait, in seconds, of those messages that find all slots busy."""
        if self.utilization >= 1:
            return math.inf
        if not self.utilization:
            return self.service.mean / self.slots
        equal, exponential = self.extreme_delays
        between = self.service.variation * exponential + (1 - self.service.variation) * equal
        return between * self.relief

    @property
    def relief(self) -> float:
        """The factor on that wait if a few runs are very long: 1 for one slot, and near it for busy slots.

        Long runs rarely hold all slots at once, so a message waits for a short rest. The factor depends on
        how unequal runs and their rests are. It was fitted to simulations with p99 of 5 to 20 times p50, 2 to
        32 slots, and 50% to 90% of them busy (`tests/speed/sizes.py`). It leaves computed waits up to 5% too
        long.
        """
        service = self.service
        unequal = min(max(service.variation * (service.residual_variation - 1), 0), _MOST_UNEQUAL)
        if not unequal or self.slots < 2:  # noqa: PLR2004 - one slot is exact
            return 1.0
        free = 1 - math.exp(-_FREE * (1 - self.utilization) * math.sqrt(self.slots))
        return math.exp(-_LONG * math.pow(unequal, _GROWTH) * free * (1 - 1 / self.slots))

    @property
    def extreme_delays(self) -> tuple[float, float]:
        """The same if runs were equal, and if they were exponential; for a utilization between 0 and 1."""
        slots, busy = self.slots, self.utilization
        exponential = self.service.mean / (slots * (1 - busy))
        correction = (1 - busy) * (slots - 1) * (math.sqrt(4 + 5 * slots) - 2) / (16 * busy * slots)
        # At very low loads the correction would make equal runs wait longer than exponential ones.
        return exponential / 2 * (1 + min(correction, 1)), exponential

    @property
    def mean_waiting(self) -> float:
        """The mean number of messages that wait (Little's law); those that run are not counted."""
        return self.rate * self.mean_wait if self.rate else 0.0

    def wait_quantile(self, share: float) -> float:
        """The wait in seconds that this share of the messages does not exceed, such as 0.99 for p99.

        The waits of those that wait at all follow a Weibull distribution: exponential for exponential runs,
        shorter tails for more equal runs, and longer tails for more different ones.
        """
        waiting = self.waiting_share
        if self.utilization >= 1:
            return math.inf
        if waiting <= 1 - share:
            return 0.0
        shape, scale = self.tail
        exponent = math.log(waiting / (1 - share))
        return max(scale * math.pow(exponent, 1 / shape), self._until_one_ends(exponent))

    def least_wait(self, share: float) -> float:
        """The seconds until one of the runs that hold all slots ends, for the share of `wait_quantile`.

        0 for one slot, whose tail has it. It is the larger of two bounds that the tail does not keep,
        compared with simulations. While a wait is short, slots become free as often as with exponential
        runs of the same mean. And if a few long runs are most of the load, they hold all slots at once.
        """
        waiting = self.waiting_share
        return self._until_one_ends(math.log(waiting / (1 - share))) if waiting > 1 - share else 0.0

    def _until_one_ends(self, exponent: float) -> float:
        """Of the messages that wait, exp(-exponent) wait longer, as with exponential waits."""
        if self.slots == 1:
            return 0.0
        longest = self.service.rest_exceeded_by(math.exp(-exponent / self.slots))
        if self.service.residual_variation <= 1:
            return longest
        return max(longest, self.extreme_delays[1] * min(exponent, _SHORT))

    @property
    def tail(self) -> tuple[float, float]:
        """Shape, and scale in seconds, of the waits of messages that find all slots busy.

        Such a message waits for the rest of one run and for a geometric number of others, as if one fast slot
        ran them. This gives the exact variation for one slot. On more slots the first one that becomes free
        counts, and the shortest of many rests is nearly exponential: hence the root, which fits simulations.
        """
        rest = 1 + (self.service.residual_variation - 1) / math.sqrt(self.slots)
        shape = weibull_shape((1 - self.utilization) * rest + self.utilization)
        return shape, self.mean_delay / math.gamma(1 + 1 / shape)


def weibull_shape(variation: float) -> float:
    """The shape of the Weibull distribution with this squared coefficient of variation, which is above 0."""
    wanted = math.log1p(variation)
    if abs(variation - 1) < _CLOSE:
        return 1.0

    def error(inverse: float) -> float:
        return math.lgamma(1 + 2 * inverse) - 2 * math.lgamma(1 + inverse) - wanted

    before, inverse = 1.0, math.pow(variation, 0.463)
    error_before = math.log(2) - wanted
    for _ in range(_ROUNDS):
        now = error(inverse)
        if abs(now) < _CLOSE or now == error_before:
            break
        # Of two tries the secant has the next one; halved or doubled at most, so that it stays positive.
        following = inverse - now * (inverse - before) / (now - error_before)
        before, error_before = inverse, now
        inverse = min(max(following, inverse / 2), inverse * 2)
    return 1 / inverse
