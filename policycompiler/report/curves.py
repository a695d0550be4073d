"""The waits of a worker against its traffic: the numbers behind a plot."""

from __future__ import annotations

import math
from typing import NamedTuple

from policycompiler.plan.lines import WorkerLine
from policycompiler.report.sizes import SHARES
from policycompiler.sizing import Line

_POINTS = 240
_ROOM = 1.45
"""The traffic axis ends so far beyond the larger of today's traffic and the one that breaks the promise."""
_PROMISES = 1.75
"""The axis of waits ends at so many promises."""
_NEARLY_FULL = 0.95


class Curves(NamedTuple):
    """A worker whose waits are known, on axes up to `most_traffic` and `longest` seconds.

    `percentiles` has a curve for each of `SHARES`: factors of today's traffic, and waits in seconds. A curve
    ends where the slots are full, or above the axis. `today` is the p99 of today, infinite if it has no end.
    `breaks_at` is None without a promise.
    """

    worker: str
    slots: int
    busy: float
    promise: float | None
    breaks_at: float | None
    today: float
    most_traffic: float
    longest: float
    percentiles: tuple[tuple[tuple[float, float], ...], ...]


def curves(each: WorkerLine) -> Curves | None:
    """The curves of a worker; None if its waits are unknown, or no message or slot lets any wait."""
    line = each.line
    if line is None or not line.load or not line.slots:
        return None
    full = line.slots / line.load
    breaks = each.breaks_at
    most = _ROOM * max(1.0, min(full, breaks) if breaks else full)
    if each.promise_seconds:
        longest = _PROMISES * each.promise_seconds
    else:
        longest = _at(line, _NEARLY_FULL * full, SHARES[-1]) or line.service.mean
    percentiles = tuple(_curve(line, share, full, most, longest) for share in SHARES)
    today = line.wait_quantile(SHARES[-1])
    return Curves(
        each.worker,
        line.slots,
        line.utilization,
        each.promise_seconds,
        breaks,
        today,
        most,
        longest,
        percentiles,
    )


def _at(line: Line, factor: float, share: float) -> float:
    return line._replace(rate=line.rate * factor).wait_quantile(share)


def _curve(
    line: Line, share: float, full: float, most: float, longest: float
) -> tuple[tuple[float, float], ...]:
    """Points of a percentile, closer to each other where the slots are nearly full."""
    found: list[tuple[float, float]] = []
    for number in range(_POINTS):
        factor = full * (1 - (1 - number / _POINTS) ** 2)
        wait = _at(line, factor, share)
        if factor > most or math.isinf(wait):
            break
        found.append((factor, wait))
        if wait > 2 * longest:
            break
    return tuple(found)
