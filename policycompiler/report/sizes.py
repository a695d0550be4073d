"""The sizes of workers: a table with notes for people, and JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from policycompiler.hazards.pace import limit_on
from policycompiler.hazards.rate_limits import exceeds, limit_of
from policycompiler.knowledge.rate_limits import SECONDS_OF_UNITS
from policycompiler.model import WhatIf
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import PROMISED_SHARE, Limit, WorkerLine
from policycompiler.quantities import ENDLESS, counted, duration, figure, percent, size
from policycompiler.report.size_totals import totals
from policycompiler.report.text import clean, table

FORMAT = 1
HEADER = (
    *("worker", "queues", "load", "slots", "busy", "wait p50", "p95", "p99"),
    *("promise", "breaks at", "memory", "limited by"),
)
SHARES = (0.5, 0.95, PROMISED_SHARE)
"""The percentiles of the wait that are shown."""
UNKNOWN = "?"
_MOST_NAMED = 3
_DIGITS = 6
"""Decimal places in JSON, so that every machine prints the same."""
_ROUNDING = ((10, 0), (60, 1), (600, 10), (36_000, 60), (math.inf, 3600))
"""Below a number of seconds: the unit of a wait for people; 0 stands for two digits."""


def sizes_text(plan: Plan, lines: Sequence[WorkerLine], what_if: WhatIf) -> str:
    """A line for each worker, what they take together, then notes; `?` is unknown. Ends with a newline."""
    notes = [note for each in lines for note in (*_notes(each), *limited(plan, each))]
    blocks = [
        [*supposed(what_if)],
        table([HEADER, *map(row, lines)]) if lines else ["the workload has no workers"],
        [*totals(plan)],
        [clean(note) for note in notes],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def supposed(what_if: WhatIf) -> Iterator[str]:
    """What the workload does not say."""
    if what_if.rate_factor != 1:
        yield f"what if: all rates times {figure(what_if.rate_factor)}"
    for path, value in what_if.values:
        yield clean(f"what if: {path} = {value}")


def row(each: WorkerLine) -> tuple[str, ...]:
    """The cells of a worker below `HEADER`."""
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
        UNKNOWN if each.memory_bytes is None else size(each.memory_bytes),
        each.limited_by,
    )


def _notes(each: WorkerLine) -> Iterator[str]:
    """What a reader must know about the numbers of a worker."""
    about_it = f"{each.worker}: "
    for bounds, what in ((each.scaling, "its processes are"), (each.autoscale, "the slots of a process are")):
        if bounds:
            yield f"{about_it}{what} {bounds[0]} to {bounds[1]}; the numbers are those of the most"
    if each.limited_by is Limit.ASSUMED:
        slots = counted(each.slots, "slot")
        yield f"{about_it}a machine or a variable decides its slots; the numbers are those of {slots}"
    if not each.known:
        yield f"{about_it}{missing(each)}"
        return
    yield from (f"{about_it}{note}" for note in broken(each))
    if each.prefetches:
        yield f"{about_it}its processes prefetch messages while others are free, so real waits can be longer"
    if each.beside:
        shared, slots = f"shares queues with {_some(each.beside)}", counted(each.all_slots, "slot")
        yield f"{about_it}{shared}; the waits are those of all their messages on {slots}"
    elif len({flow.queue for flow in each.flows}) > 1:
        yield f"{about_it}all its queues share its slots, so the waits are those of all its messages together"


def limited(plan: Plan, each: WorkerLine) -> Iterator[str]:
    """That tasks wait for Celery's rate limit too, which the waits of a line leave out."""
    rates = {flow.task: flow.rate for flow in each.flows if limit_on(plan, Scope("task", flow.task))}
    if not rates:
        return
    names = sorted(rates)
    wait = "waits" if len(names) == 1 else "wait"
    yield f"{each.worker}: {_some(names)} {wait} for Celery's rate limit too, which the numbers leave out"
    for name in names:
        limit, rate = limit_of(plan, Scope("task", name)), rates[name]
        if limit is None or rate is None:
            continue
        arrivals = rate * SECONDS_OF_UNITS[limit.unit]
        if exceeds(arrivals, limit.most):
            peak = f"at peak {name} arrives at {figure(arrivals)}/{limit.unit}"
            yield f"{each.worker}: {peak}, but {limit.together}: its queue grows"


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


def broken(each: WorkerLine) -> Iterator[str]:
    """That the promise does not hold, and how many slots it takes."""
    line, promise = each.line, each.promise
    if line is None or promise is None or promise.holds(line):
        return
    slots = each.fewest_slots
    kept = "no number of slots keeps a promise that short"
    if slots is not None:
        kept = f"{counted(slots, 'slot')} would keep the promise of {duration(promise.seconds)}"
    if line.utilization >= 1:
        are = "is" if line.slots == 1 else "are"
        busy = f"the load keeps {figure(line.load, 3)} slots busy, and there {are} {line.slots:,}"
        yield f"{busy}, so the backlog grows without end; {kept}"
    elif line.utilization > promise.ceiling:
        yield f"{percent(line.utilization)} of the slots are busy, and little more traffic fills them; {kept}"
    else:
        late = about(line.wait_quantile(promise.share))
        yield f"the promise is broken or nearly so: 1 of 100 messages waits longer than {late}; {kept}"


def sizes_json(lines: Sequence[WorkerLine]) -> str:
    """The same for machines: null is unknown, or a wait without end. Ends with a newline."""
    return json.dumps({"format": FORMAT, "workers": [*map(line_data, lines)]}, indent=2) + "\n"


def line_data(each: WorkerLine) -> dict[str, Any]:
    """The numbers of a worker: null is unknown, or a wait without end."""
    line = each.line
    waits = [None if line is None else finite(line.wait_quantile(share)) for share in SHARES]
    return {
        "worker": each.worker,
        "queues": [*each.queues],
        "pool": each.pool,
        "replicas": each.processes,
        "concurrency": each.slots_each,
        "slots": each.slots,
        "offered_load": finite(each.load),
        "utilization": None if line is None else finite(line.utilization),
        "wait_p50_seconds": waits[0],
        "wait_p95_seconds": waits[1],
        "wait_p99_seconds": waits[2],
        "promise_seconds": each.promise_seconds,
        "memory_bytes": each.memory_bytes,
        "limited_by": str(each.limited_by),
    }


def finite(value: float | None) -> float | None:
    """A number for JSON; null for an infinite one."""
    return None if value is None or math.isinf(value) else round(value, _DIGITS)


def times(factor: float) -> str:
    """A factor of the traffic, rounded down: `1.84 x`."""
    return f"{figure(math.floor(factor * 100) / 100, 3)} x" if factor < 100 else "over 100 x"  # noqa: PLR2004


def about(seconds: float) -> str:
    """A wait for people: to the millisecond or two digits below 10 s, then to ever larger units."""
    if math.isinf(seconds):
        return ENDLESS
    unit = next(unit for below, unit in _ROUNDING if seconds < below)
    if unit:
        return duration(round(seconds / unit) * unit)
    return duration(float(f"{round(seconds, 3):.2g}"))
