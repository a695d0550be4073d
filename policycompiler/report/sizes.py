"""The sizes of workers: a table with notes for people, and JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from policycompiler.model import WhatIf
from policycompiler.plan.lines import PROMISED_SHARE, WorkerLine
from policycompiler.quantities import duration, size
from policycompiler.report.text import clean, counted, table

FORMAT = 1
HEADER = (
    *("worker", "queues", "load", "slots", "busy", "wait p50", "p95", "p99"),
    *("promise", "breaks at", "memory", "limited by"),
)
SHARES = (0.5, 0.95, PROMISED_SHARE)
"""The percentiles of the wait that are shown."""
UNKNOWN = "?"
_ENDLESS = "endless"
_MOST_NAMED = 3
_MOST_PLACES = 12
_DIGITS = 6
"""Decimal places in JSON, so that every machine prints the same."""
_ROUNDING = ((10, 0), (60, 1), (600, 10), (36_000, 60), (math.inf, 3600))
"""Below a number of seconds: the unit of a wait for people; 0 stands for two digits."""


def sizes_text(lines: Sequence[WorkerLine], what_if: WhatIf) -> str:
    """A line for each worker, then notes; `?` is unknown. Ends with a newline."""
    notes = [note for each in lines for note in _notes(each)]
    blocks = [
        [*supposed(what_if)],
        table([HEADER, *map(_row, lines)]) if lines else ["the workload has no workers"],
        [clean(note) for note in notes],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def supposed(what_if: WhatIf) -> Iterator[str]:
    """What the workload does not say."""
    if what_if.rate_factor != 1:
        yield f"what if: all rates times {figure(what_if.rate_factor)}"
    for path, value in what_if.values:
        yield clean(f"what if: {path} = {value}")


def _row(each: WorkerLine) -> tuple[str, ...]:
    line, load, breaks = each.line, each.load, each.breaks_at
    waits = [UNKNOWN] * len(SHARES)
    if line is not None:
        waits = [about(line.wait_quantile(share)) for share in SHARES]
    return (
        each.worker,
        str(len(each.queues)),
        UNKNOWN if load is None else figure(load, 3),
        str(each.slots),
        UNKNOWN if line is None else percent(line.utilization),
        *waits,
        UNKNOWN if each.promise_seconds is None else duration(each.promise_seconds),
        UNKNOWN if breaks is None else times(breaks),
        size(each.memory_bytes),
        each.limited_by,
    )


def _notes(each: WorkerLine) -> Iterator[str]:
    """What a reader must know about the numbers of a worker."""
    about_it = f"{each.worker}: "
    for bounds, what in ((each.scaling, "its processes are"), (each.autoscale, "the slots of a process are")):
        if bounds:
            yield f"{about_it}{what} {bounds[0]} to {bounds[1]}; the numbers are those of the most"
    if not each.known:
        yield f"{about_it}{missing(each)}"
        return
    yield from (f"{about_it}{note}" for note in _broken(each))
    if each.prefetches:
        yield f"{about_it}its processes prefetch messages while others are free, so real waits can be longer"
    if each.beside:
        shared = f"shares queues with {_some(each.beside)}"
        yield f"{about_it}{shared}; the waits are those of all their messages on {each.all_slots} slots"
    elif len({flow.queue for flow in each.flows}) > 1:
        yield f"{about_it}all its queues share its slots, so the waits are those of all its messages together"


def missing(each: WorkerLine) -> str:
    """Which declarations would replace the question marks."""
    if not each.flows:
        return "the workload declares no task that is sent to its queues"
    fields = [f"tasks.{flow.task}.{field}" for flow in each.flows for field in flow.undeclared]
    return f"declare {_some(fields)} to compute load and waits"


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown, more = names[:_MOST_NAMED], len(names) - _MOST_NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _broken(each: WorkerLine) -> Iterator[str]:
    """That the promise does not hold, and how many slots it takes."""
    line, promise = each.line, each.promise
    if line is None or promise is None or promise.holds(line):
        return
    slots = each.fewest_slots
    kept = "no number of slots keeps a promise that short"
    if slots is not None:
        kept = f"{counted(slots, 'slot')} would keep the promise of {duration(promise.seconds)}"
    if line.utilization >= 1:
        busy = f"the load keeps {figure(line.load, 3)} slots busy, and there are {line.slots}"
        yield f"{busy}, so the backlog grows without end; {kept}"
    elif line.utilization > promise.ceiling:
        yield f"{percent(line.utilization)} of the slots are busy, and little more traffic fills them; {kept}"
    else:
        late = about(line.wait_quantile(promise.share))
        yield f"the promise is broken or nearly so: 1 of 100 messages waits longer than {late}; {kept}"


def sizes_json(lines: Sequence[WorkerLine]) -> str:
    """The same for machines: null is unknown, or a wait without end. Ends with a newline."""
    return json.dumps({"format": FORMAT, "workers": [*map(_data, lines)]}, indent=2) + "\n"


def _data(each: WorkerLine) -> dict[str, Any]:
    line = each.line
    waits = [None if line is None else _finite(line.wait_quantile(share)) for share in SHARES]
    return {
        "worker": each.worker,
        "queues": [*each.queues],
        "pool": each.pool,
        "replicas": each.processes,
        "concurrency": each.slots_each,
        "slots": each.slots,
        "offered_load": _finite(each.load),
        "utilization": None if line is None else _finite(line.utilization),
        "wait_p50_seconds": waits[0],
        "wait_p95_seconds": waits[1],
        "wait_p99_seconds": waits[2],
        "promise_seconds": each.promise_seconds,
        "memory_bytes": each.memory_bytes,
        "limited_by": str(each.limited_by),
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else round(value, _DIGITS)


def figure(value: float, digits: int = 4) -> str:
    """A number for people, without an exponent: `13.4`, `0.000579`, `1,250`."""
    if value in (0, math.inf):
        return "0" if not value else _ENDLESS
    places = min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), _MOST_PLACES)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: float) -> str:
    """A share for people; never rounded down to nothing or up to the whole."""
    if math.isinf(value):
        return _ENDLESS
    whole = round(value * 100)
    if not whole and value:
        return "under 1%"
    return "over 99%" if whole == 100 and value < 1 else f"{whole}%"  # noqa: PLR2004


def times(factor: float) -> str:
    """A factor of the traffic, rounded down: `1.84 x`."""
    return f"{figure(math.floor(factor * 100) / 100, 3)} x" if factor < 100 else "over 100 x"  # noqa: PLR2004


def about(seconds: float) -> str:
    """A wait for people: to the millisecond or two digits below 10 s, then to ever larger units."""
    if math.isinf(seconds):
        return _ENDLESS
    unit = next(unit for below, unit in _ROUNDING if seconds < below)
    if unit:
        return duration(round(seconds / unit) * unit)
    return duration(float(f"{round(seconds, 3):.2g}"))
