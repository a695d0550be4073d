"""What a user asks for, and why a load test cannot begin."""

from __future__ import annotations

from typing import NamedTuple

WARM_UP_SHARE = 0.1
"""The first part of the time fills the slots, and is not measured."""


class Wish(NamedTuple):
    """How long and how many messages to send, at which multiple of the declared rates, to which queues.

    `drain_seconds` is how long to wait for the start of messages after the last one was sent. No `queues`
    are all. The same `seed` gives the same messages.
    """

    seconds: float
    drain_seconds: float
    most: int
    rate_factor: float
    seed: int
    queues: tuple[str, ...]


class Access(NamedTuple):
    """How to reach a running deployment; `beside_other_work` allows other messages in its queues."""

    broker: str | None
    management: str | None
    beside_other_work: bool


class LoadTestError(Exception):
    """A load test that cannot begin; the text says why."""


class Interrupted(BaseException):
    """A signal that ends the test early."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
