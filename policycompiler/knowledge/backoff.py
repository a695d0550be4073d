"""How long Celery waits before automatic retries of a task."""

from __future__ import annotations

MOST_DOUBLINGS = 64
"""After this many doublings every wait is the longest one; larger powers only cost time."""


def longest_wait_seconds(longest: float, first: float | None, retries: float | None) -> float:
    """The longest possible wait: the first, doubled with each retry, but at most `longest`.

    `first` is `retry_backoff` in seconds and `longest` is `retry_backoff_max`. None for `retries` means no
    limit (https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.retry_backoff).
    """
    if first is None or retries is None:
        return longest
    return min(longest, first * 2 ** min(max(retries - 1, 0), MOST_DOUBLINGS))


def all_waits_seconds(longest: float, first: float | None, retries: int) -> float:
    """The sum of the waits before all retries, each at its maximum: jitter only shortens them."""
    doublings = min(retries, MOST_DOUBLINGS)
    waits = [longest_wait_seconds(longest, first, number) for number in range(1, doublings + 1)]
    return sum(waits) + longest * (retries - doublings)
