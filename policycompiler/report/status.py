"""The state of a deployment: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from policycompiler.quantities import duration
from policycompiler.report.text import clean, table

FORMAT = 1
_UNKNOWN = "?"


class QueueNow(NamedTuple):
    """A queue: messages that wait, that workers hold, and of these the ones with an ETA. None is unknown."""

    name: str
    exists: bool
    ready: int | None
    unacked: int | None
    scheduled: int | None
    consumers: int | None
    oldest_seconds: float | None


class WorkerNow(NamedTuple):
    """A worker: the processes that answer and those of the plan, and its slots."""

    name: str
    seen: int
    expected: int
    busy: int
    slots: int
    nodes: tuple[str, ...]


class ScheduleNow(NamedTuple):
    """A schedule with its last and next firing in UTC; None is unknown."""

    name: str
    task: str
    last: datetime | None
    next: datetime | None


class Status(NamedTuple):
    """The state.

    `workers` is None if they cannot be asked; `unasked` says why, and is empty if this kind of broker does
    not transport remote control. `beats` is the number of beats that show themselves, None if that is
    unknown. `strangers` are the nodes of no worker of the plan.
    """

    service: str
    queues: tuple[QueueNow, ...]
    workers: tuple[WorkerNow, ...] | None
    schedules: tuple[ScheduleNow, ...]
    beats: int | None
    strangers: tuple[str, ...]
    unasked: str = ""


def status_text(status: Status, now: datetime) -> str:
    """Three tables; `?` is unknown. Lines at the end name what needs attention."""
    blocks = [
        table(_queues(status)),
        table(_workers(status)),
        table(_schedules(status, now)),
        [*_notes(status)],
    ]
    return (
        "\n\n".join("\n".join(lines) for lines in blocks if len(lines) > 1 or lines is blocks[-1]).rstrip()
        + "\n"
    )


def _queues(status: Status) -> Iterator[tuple[str, ...]]:
    yield "queue", "ready", "unacked", "scheduled", "consumers", "oldest"
    for queue in status.queues:
        if not queue.exists:
            yield queue.name, "missing", "", "", "", ""
            continue
        oldest = _UNKNOWN if queue.oldest_seconds is None else duration(round(queue.oldest_seconds))
        counts = (queue.ready, queue.unacked, queue.scheduled, queue.consumers)
        yield queue.name, *map(_count, counts), oldest


def _workers(status: Status) -> Iterator[tuple[str, ...]]:
    yield "worker", "replicas", "expected", "busy", "slots"
    for worker in status.workers or ():
        yield worker.name, *map(str, (worker.seen, worker.expected, worker.busy, worker.slots))


def _schedules(status: Status, now: datetime) -> Iterator[tuple[str, ...]]:
    yield "schedule", "task", "last", "next"
    for schedule in status.schedules:
        yield schedule.name, schedule.task, _moment(schedule.last, now), _moment(schedule.next, now)


def _notes(status: Status) -> Iterator[str]:
    if status.workers is None:
        why = status.unasked or "this broker does not transport remote control"
        yield clean(f"workers: unknown, because {why}")
    elif missing := [each.name for each in status.workers if each.seen < each.expected]:
        yield clean(f"too few replicas: {', '.join(missing)}")
    if status.strangers:
        yield clean(f"not in the plan: {', '.join(status.strangers)}")
    if status.schedules:
        yield "beat: unknown" if status.beats is None else f"beat: {status.beats} running"


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)


def _moment(moment: datetime | None, now: datetime) -> str:
    """A time, and how far it is: `2026-11-30 06:30 UTC (in 5 h)`."""
    if moment is None:
        return _UNKNOWN
    seconds = round((moment - now).total_seconds())
    far = duration(_rough(abs(seconds)))
    return f"{moment:%Y-%m-%d %H:%M} UTC ({f'in {far}' if seconds >= 0 else f'{far} ago'})"


def _rough(seconds: int) -> int:
    """Two units at most: seconds below a minute, minutes below a day, then hours."""
    unit = 1 if seconds < 60 else 60 if seconds < 86400 else 3600  # noqa: PLR2004
    return seconds // unit * unit


def status_json(status: Status) -> str:
    """The same for machines; null is unknown, times are in UTC."""
    data = {
        "format": FORMAT,
        "service": status.service,
        "queues": [queue._asdict() for queue in status.queues],
        "workers": None if status.workers is None else [worker._asdict() for worker in status.workers],
        "schedules": [
            {**each._asdict(), "last": _iso(each.last), "next": _iso(each.next)} for each in status.schedules
        ],
        "beats": status.beats,
        "strangers": status.strangers,
    }
    return json.dumps(data, indent=2) + "\n"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
