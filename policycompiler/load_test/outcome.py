"""What a load test showed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """Whether a promise was kept."""

    KEPT = "kept"
    BROKEN = "broken"
    UNCLEAR = "unclear"
    """More messages than promised were late, but so few in all that it can be chance."""
    NONE = "none"
    """Nothing was promised, or nothing was measured."""


class Wait(NamedTuple):
    """A wait in seconds; `at_least` if some of the messages had not started at the end."""

    seconds: float
    at_least: bool = False


class Figures(NamedTuple):
    """The figures of a latency class or of a queue.

    `slots` take its messages, and those of the queues beside it. `run` counts messages that started, and
    `twice` those that started more than once. `waiting` messages had not started at the end. Of `lost` ones,
    no queue and no worker had a trace at the end. `measured` messages are those after the warm-up, and `late`
    ones waited longer than the promise. `per_second` are runs. Percentiles are p50, p95 and p99; `waits` is
    None if nothing was measured.
    """

    name: str
    workers: tuple[str, ...]
    slots: int
    sent: int
    run: int
    failed: int
    twice: int
    waiting: int
    lost: int
    per_second: float
    predicted_per_second: float
    measured: int
    waits: tuple[Wait, Wait, Wait] | None
    predicted: tuple[float, float, float]
    promise_seconds: float | None
    late: int
    verdict: Verdict

    @property
    def intact(self) -> bool:
        """Whether all messages that ran did so once, and without a failure."""
        return not (self.failed or self.twice or self.lost)


class Outcome(NamedTuple):
    """A whole load test.

    `where` is what was driven, for people. `seconds` is how long messages were sent; the first
    `warm_up_seconds` are not measured. `late_p99_seconds` is how late messages were sent. `ended_by` is the
    exit code of the signal that ended the test early, 0 without one. `problems` are faults besides those of
    the figures.
    """

    where: str
    seconds: float
    warm_up_seconds: float
    rate_factor: float
    seed: int
    sent: int
    late_p99_seconds: float
    classes: Sequence[Figures]
    queues: Sequence[Figures]
    ended_by: int
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def succeeded(self) -> bool:
        """Whether no promise was broken, and nothing was lost, doubled or failed."""
        kept = all(each.intact and each.verdict is not Verdict.BROKEN for each in self.queues)
        return kept and not self.problems
