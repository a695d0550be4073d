"""When beat sends a schedule: the times that show a reviewer the effect of a changed crontab."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.plan import APP, Plan, Scope

COUNT = 5
"""This number of firings shows a rhythm."""
AHEAD = timedelta(days=366)
"""How far ahead to look for a clock change: a year has both."""
LOOK_BACK = tuple(timedelta(hours=hours) for hours in (0.25, 2, 26, 8 * 24, 32 * 24, 370 * 24))
"""How far back to look for the firing before a change; short first, as a crontab may fire each minute."""

_MINUTE = timedelta(minutes=1)
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class Firings(NamedTuple):
    """Times in ISO 8601 with the offset of the schedule's zone: `2026-11-22T03:00+01:00`.

    `next` are the next five. `around_dst` are five around a clock change that disturbs the schedule. They
    start with the last one before the change; with the last but one if it fires more than once a day.
    """

    next: tuple[str, ...]
    around_dst: tuple[str, ...]


class ClockChange(NamedTuple):
    """A clock change: its time, and how far the clocks go forward; negative where they go back."""

    moment: datetime
    forward: timedelta


def firings(plan: Plan, schedule: Scope, today: date) -> Firings:
    """The times at which beat sends a schedule, from 00:00 of `today` in the schedule's zone on.

    Celery computes crontabs here, as in beat. A clock change disturbs a schedule in two cases. A firing is in
    the skipped hour, so it comes later. Or runs were due in the second pass of the repeated hour, in which
    beat sends nothing. The first such change within 366 days is shown. A daily 04:00 is never disturbed, nor
    is a daily 02:30 in autumn: it fires once, in the first pass.

    `every_seconds` has no fixed times: beat counts from its own start, here from 00:00 of `today`. A solar
    schedule has no firings here, nor has a schedule whose crontab or time zone this machine does not know.
    There are fewer than five at the end of the calendar.
    """
    found = timing(plan, schedule)
    midnight = None if found is None else _midnight(today, found.zone)
    if found is None or midnight is None:
        return Firings((), ())
    zone, crontab, every = found
    if every is not None:
        return Firings(_texts(_intervals(midnight, every), zone), ())
    around = (
        _around(crontab, change) for change in clock_changes(zone, midnight) if _irregular(crontab, change)
    )
    return Firings(_texts(_runs(crontab, midnight), zone), _texts(next(around, iter(())), zone))


def compared(old: Plan, new: Plan, schedule: Scope, today: date) -> tuple[Firings, Firings]:
    """The firings by two plans, both around one clock change.

    That is the first change that disturbs either; without one, the first in either time zone.
    """
    before, after = firings(old, schedule, today), firings(new, schedule, today)
    changes, first, second = _both(old, new, schedule, today)
    if first is None or second is None or not changes:
        return before, after
    irregular = (change for change in changes for each in (first, second) if _irregular(each.crontab, change))
    shown = next(irregular, changes[0])
    told = (_texts(_around(each.crontab, shown), each.zone) for each in (first, second))
    return before._replace(around_dst=next(told)), after._replace(around_dst=next(told))


def following(plan: Plan, schedule: Scope, moment: datetime) -> datetime | None:
    """The first firing after a moment; None if it has no fixed times, as with `every_seconds`."""
    found = timing(plan, schedule)
    if found is None or found.crontab is None:
        return None
    return next((run for run in _runs(found.crontab, moment) if run > moment), None)


class Timing(NamedTuple):
    """How a plan times a schedule: by a Celery crontab, or by an interval in seconds."""

    zone: ZoneInfo
    crontab: Any
    every: float | None


def timing(plan: Plan, schedule: Scope) -> Timing | None:
    """How a plan times a schedule; None if it is solar, or its time zone or crontab is unknown."""
    zone_name = plan.get(schedule, "timezone") or plan.get(APP, "timezone") or "UTC"
    try:
        zone = ZoneInfo(str(zone_name))
    except (KeyError, ValueError, OSError):
        return None
    every = plan.number_if_any(schedule, "every_seconds")
    crontab = None if every is not None else _crontab(plan.get(schedule, "cron"), zone)
    return None if every is None and crontab is None else Timing(zone, crontab, every)


def _both(
    old: Plan, new: Plan, schedule: Scope, today: date
) -> tuple[list[ClockChange], Timing | None, Timing | None]:
    """The clock changes in the time zones of two crontabs, and the crontabs; None for another schedule."""
    found = [timing(plan, schedule) for plan in (old, new)]
    crons = [each if each is not None and each.crontab is not None else None for each in found]
    days = [(each, _midnight(today, each.zone)) for each in crons if each is not None]
    changes = {change for each, day in days if day is not None for change in clock_changes(each.zone, day)}
    return sorted(changes), crons[0], crons[1]


def _midnight(today: date, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.combine(today, time(), zone).astimezone(UTC)
    except OverflowError:
        return None


def _texts(moments: Iterator[datetime], zone: ZoneInfo) -> tuple[str, ...]:
    return tuple(_text(moment.astimezone(zone)) for moment in islice(moments, COUNT))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="auto" if moment.second or moment.microsecond else "minutes")


def _intervals(start: datetime, seconds: float) -> Iterator[datetime]:
    try:
        for number in range(1, COUNT + 1):
            yield start + timedelta(seconds=number * seconds)
    except (OverflowError, ValueError):
        return


def _crontab(fields: object, zone: ZoneInfo) -> Any:  # noqa: ANN401 - Celery has no types
    """The emitted crontab; None without one, or if Celery rejects it."""
    # Celery is imported only where its own reader is needed: it is slow to import.
    from celery.schedules import ParseException, crontab  # noqa: PLC0415

    if not isinstance(fields, dict):
        return None
    try:
        # It returns the time left from now; any fixed now will do.
        found = crontab(**fields, nowfun=lambda: _ANY_TIME)
    except (ValueError, TypeError, ParseException):
        return None
    found.tz = zone
    return found


def _runs(crontab: Any, start: datetime) -> Iterator[datetime]:  # noqa: ANN401
    """When beat sends it after a moment, each computed from the one before; ends with the calendar."""
    try:
        # Celery computes the next run after a run. In a repeated hour this is the first pass: beat never
        # reaches the second.
        last = (start - _MINUTE).astimezone(crontab.tz).replace(fold=0)
        while True:
            last = (_ANY_TIME + crontab.remaining_estimate(last)).astimezone(crontab.tz)
            yield last
    except (RuntimeError, ValueError, OverflowError):
        return


@lru_cache(maxsize=100)
def clock_changes(zone: ZoneInfo, start: datetime) -> tuple[ClockChange, ...]:
    """The clock changes after a moment, in order."""

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta()

    day, found = timedelta(days=1), []
    for number in range(AHEAD.days):
        try:
            before, after = start + number * day, start + (number + 1) * day
            forward = offset(after) - offset(before)
        except OverflowError:
            break
        if forward:
            while after - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
                before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
            found.append(ClockChange(after, forward))
    return tuple(found)


def _irregular(crontab: Any, change: ClockChange) -> bool:  # noqa: ANN401
    moment, forward = change
    if forward > timedelta():
        first = next(_runs(crontab, moment), None)
        return first is not None and first < moment + forward and not _says(crontab, first)
    last = None
    for run in _runs(crontab, moment + forward):
        if run >= moment:
            # In local time: Python subtracts two times of one time zone that way.
            return last is not None and run - last <= -forward
        last = run
    return False


def _says(crontab: Any, local: datetime) -> bool:  # noqa: ANN401
    """Whether a crontab names this time; it does not name the time of a postponed run."""
    return (
        local.minute in crontab.minute
        and local.hour in crontab.hour
        and local.day in crontab.day_of_month
        and local.month in crontab.month_of_year
        and local.isoweekday() % 7 in crontab.day_of_week
    )


def _around(crontab: Any, change: ClockChange) -> Iterator[datetime]:  # noqa: ANN401
    wanted = 1 if len(crontab.hour) * len(crontab.minute) == 1 else 2
    before: list[datetime] = []
    for back in LOOK_BACK:
        runs = _runs(crontab, change.moment - back)
        before = [*takewhile(lambda run: run < change.moment, runs)][-wanted:]
        if len(before) == wanted:
            break
    yield from before
    yield from _runs(crontab, change.moment)
