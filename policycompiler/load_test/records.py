"""What was sent and what started, message by message."""

from __future__ import annotations

from typing import NamedTuple


class Sent(NamedTuple):
    """A message as the sender noted it: when it was sent, and how many seconds too late."""

    at: float
    late: float


class Records(NamedTuple):
    """What was sent and what started, by the number of the message.

    `ended` is when the last look began, and `seconds` how long was sent. `left` maps a queue to whether
    messages were left in it; a queue is missing if nobody could count them. `silent` are workers that did not
    answer at the end. `ended_by` is the exit code of the signal that ended the test, 0 without one.
    """

    sent: dict[int, Sent]
    started: dict[int, list[float]]
    failed: set[int]
    begun: float
    ended: float
    seconds: float
    left: dict[str, bool]
    silent: list[str]
    ended_by: int
    problems: list[str]
