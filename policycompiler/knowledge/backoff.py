"""How long Celery waits between the runs of a task that it retries by itself."""

from __future__ import annotations

MOST_DOUBLINGS = 64
"""Beyond these every wait is the longest; larger powers only cost time."""


def longest_wait_seconds(longest: float, first: float | None, retries: float | None) -> float:
    """The longest wait there can be: the first, doubled with each retry, and never more than `longest`.

    `first` is `retry_backoff` in seconds and `longest` is `retry_backoff_max`; `retries` is without end where
    it is None (https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.retry_backoff).
    """
    if first is None or retries is None:
        return longest
    return min(longest, first * 2 ** min(max(retries - 1, 0), MOST_DOUBLINGS))


def all_waits_seconds(longest: float, first: float | None, retries: int) -> float:
    """The waits before all retries together; each is as long as it may be, as jitter only shortens it."""
    doublings = min(retries, MOST_DOUBLINGS)
    waits = [longest_wait_seconds(longest, first, number) for number in range(1, doublings + 1)]
    return sum(waits) + longest * (retries - doublings)
