"""Celery's rate limits, as its workers read them (`celery.utils.time.rate`)."""

from __future__ import annotations

import re

SECONDS_OF_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_apart(limit: object) -> float | None:
    """Seconds between two starts in one process; None if there is no limit, or Celery cannot read it."""
    if limit is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/([smh]))?", str(limit))
    if not match or not float(match[1]):
        return None
    return SECONDS_OF_UNITS[match[2] or "s"] / float(match[1])
