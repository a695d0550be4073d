"""Schedules that send more messages in one minute than their workers start in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.knowledge.crontab import DAYS, FIRST_DAY, days, read_crontab
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import Flow, WorkerLine, at_once, sized
from policycompiler.quantities import counted, duration
from policycompiler.sizing import Line, last_start_seconds, mixture, slots_for_burst

_MOST_RELATED = 5
_INTERVALS = ""
"""In place of a time zone: intervals have none."""
_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_DAY_MINUTES = 1440
_UTC = "UTC"
_EVERY_DAY = -1
"""All days, as bits: it has every bit."""


class _Sent(NamedTuple):
    """A schedule, and the message that it sends; one bit for each day in UTC on which it does.

    `local` is the time zone of the schedule, and the minute of the day there.
    """

    scope: Scope
    flow: Flow
    days: int
    local: tuple[str, int]


def crowded_minutes(plan: Plan, lines: Sequence[WorkerLine]) -> Iterator[Hazard]:
    """For each worker, the minute at which its schedules send most."""
    flows = {flow.task: flow for line in lines for flow in line.flows}
    by_worker: dict[str, dict[tuple[str, int], list[_Sent]]] = defaultdict(lambda: defaultdict(list))
    for scope in plan.scopes("schedule"):
        entry = plan.entry(plan.text(scope, "task"))
        flow = flows.get(entry.name) if entry is not None else None
        if flow is None or flow.service is None:
            continue
        options = plan.get(scope, "options")
        queue = str(options.get("queue", flow.queue)) if isinstance(options, dict) else flow.queue
        for worker in plan.texts(Scope("queue", queue), "workers") if _is_known(plan, queue) else ():
            for moment, due, local in _moments(plan, scope):
                by_worker[worker][moment].append(_Sent(scope, flow._replace(queue=queue), due, local))
    told: set[SpecPath] = set()
    for line in sized(lines):
        for hazard in _crowded(plan, line, by_worker.get(line.worker, {})):
            if hazard.path not in told:
                yield hazard
            told.add(hazard.path)


def _is_known(plan: Plan, queue: str) -> bool:
    return plan.find(Scope("queue", queue), "workers") is not None


def _moments(plan: Plan, scope: Scope) -> Iterator[tuple[tuple[str, int], int, tuple[str, int]]]:
    """The minutes of the day in UTC at which a schedule is due, on which days, and the same in its time zone.

    Intervals count from the start of beat, so all of them can meet, at a minute of their own.
    """
    cron = plan.get(scope, "cron")
    if isinstance(cron, dict):
        text = " ".join(str(cron[field]) for field in _FIELDS)
        zone = str(plan.get(scope, "timezone") or _UTC)
        for minute in read_crontab(text).times:
            for offset in _offsets(zone):
                day, moment = divmod(minute - offset, _DAY_MINUTES)
                if due := _days(text, zone, offset, day):
                    yield (_UTC, moment), due, (zone, minute)
    elif plan.find(scope, "every_seconds") is not None:
        yield (_INTERVALS, 0), _EVERY_DAY, (_INTERVALS, 0)


@lru_cache(maxsize=100)
def _offsets(zone: str) -> dict[int, int]:
    """The minutes that the clocks of a time zone are ahead of UTC, and the days of each, as bits.

    The offset at noon counts for the whole day. None is known of an unknown zone, which is another finding.
    """
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return {}
    found = defaultdict[int, int](int)
    for number in range(DAYS):
        noon = datetime.combine(FIRST_DAY + timedelta(number), time(12), clock)
        found[(noon.utcoffset() or timedelta()) // timedelta(minutes=1)] |= 1 << number
    return dict(found)


@lru_cache(maxsize=10_000)
def _days(text: str, zone: str, offset: int, later: int) -> int:
    """The days on which a crontab is due with an offset, moved by up to a day; bit 0 is the day before."""
    due = sum(1 << number for number in days(text)) & _offsets(zone)[offset]
    return due << (later + 1)


def _crowded(
    plan: Plan, line: WorkerLine, minutes: Mapping[tuple[str, int], list[_Sent]]
) -> Iterator[Hazard]:
    worst: tuple[float, tuple[str, int], list[_Sent]] | None = None
    for moment, sent in sorted(minutes.items()):
        if len(sent) == 1 or not last_start_seconds(len(sent), _line(plan, line, sent)):
            continue
        together = _meeting(sent)
        last = last_start_seconds(len(together), _line(plan, line, together))
        if worst is None or last > worst[0]:
            worst = last, moment, together
    if worst is None:
        return
    last, moment, sent = worst
    # People read the time that the workload has, if all of them have the same.
    zone, minute = sent[0].local if len({each.local for each in sent}) == 1 else moment
    queues = {each.flow.queue for each in sent}
    promises = [(plan.number_if_any(Scope("queue", name), "queue_wait_seconds"), name) for name in queues]
    known = [(seconds, name) for seconds, name in promises if seconds is not None]
    if not known or last <= min(known)[0]:
        return
    seconds, queue = min(known)
    when = (
        f"at {minute // 60:02}:{minute % 60:02} {zone}" if zone else "at the same time, after a start of beat"
    )
    message = (
        f"{len(sent)} schedules send their messages {when}: the last one starts after about "
        f"{duration(float(f'{last:.2g}'))} on the {counted(_slots(plan, line, sent), 'slot')} of worker "
        f"{line.worker}{busy_slots(_line(plan, line, sent))}, and {queue} promises {duration(seconds)}"
    )
    enough = counted(slots_for_burst(len(sent), _line(plan, line, sent), seconds), "slot")
    spread = "spread the times of the schedules" if zone else "write `cron` with other times"
    help_text = f"{spread}, give worker {line.worker} {enough}, or choose a latency class that waits longer"
    first, *others = sorted({each.scope for each in sent})
    related = tuple(
        Related(("schedules", each.name), "sent at the same time") for each in others[:_MOST_RELATED]
    )
    keys = ("cron", "every_seconds")
    settings = tuple((each, key) for each in (first, *others) for key in keys if plan.find(each, key))
    worker = Scope("worker", line.worker)
    yield Hazard(
        "schedules-crowded", settings, message, help_text, ("schedules", first.name), related, about=(worker,)
    )


def _meeting(sent: Sequence[_Sent]) -> list[_Sent]:
    """The schedules that are due on the same day; a greedy choice of many."""
    kinds: dict[int, list[_Sent]] = defaultdict(list)
    for each in sent:
        kinds[each.days].append(each)
    ordered = sorted(kinds, key=lambda each: (-len(kinds[each]), kinds[each][0].scope))
    best: list[_Sent] = []
    for kind, own in kinds.items():
        met, common = [*own], kind
        for other in ordered:
            if other != kind and common & other:
                met, common = [*met, *kinds[other]], common & other
        best = max(best, met, key=len)
    return best


def _line(plan: Plan, line: WorkerLine, sent: Sequence[_Sent]) -> Line:
    """These messages, on the slots that run them."""
    service = mixture((1.0, each.flow.service) for each in sent if each.flow.service is not None)
    slots = _slots(plan, line, sent)
    return at_once(service, slots, slots * line.busy)


def _slots(plan: Plan, line: WorkerLine, sent: Sequence[_Sent]) -> int:
    """Each process runs all messages of a broadcast queue; otherwise they share the slots."""
    alone = all(plan.get(Scope("queue", each.flow.queue), "broadcast") for each in sent)
    return line.slots_each if alone else max(line.all_slots, line.slots)


def busy_slots(line: Line) -> str:
    """How many of the slots that messages need at once are busy; nothing if hardly any is."""
    return f" ({round(line.load)} busy)" if round(line.load) else ""
