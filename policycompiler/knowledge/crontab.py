"""The times and days of a crontab in the workload, and the gaps between its runs."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from policycompiler.knowledge.cron_dialects import FIELDS, Field

DAY_SECONDS = 86400
MINUTES = 60
HOURS = 24
FIRST_DAY = date(2024, 1, 1)
DAYS = 2922
"""Eight years: they contain all lengths of a month, leap years, and each date on most weekdays."""


class UnreadableError(ValueError):
    """Celery rejects a crontab."""


class Crontab(NamedTuple):
    """The numbers of each field; Sunday is weekday 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def times(self) -> list[int]:
        """The minutes after midnight at which a run is due, sorted."""
        return sorted(60 * hour + minute for hour in self.hours for minute in self.minutes)

    @property
    def every_day(self) -> bool:
        """Whether the crontab matches every day."""
        return len(self.days) == 31 and len(self.months) == 12 and len(self.weekdays) == 7  # noqa: PLR2004


class Gaps(NamedTuple):
    """Seconds between two consecutive runs, in local time."""

    shortest: int
    longest: int


@lru_cache(maxsize=10_000)
def read_crontab(text: str) -> Crontab:
    """The fields of a crontab, read as Celery reads them.

    Raises `UnreadableError` for one that `schedules` has not accepted.
    """
    # Celery is imported only here, where its reader is needed: it is slow to import.
    from celery.schedules import ParseException, crontab  # noqa: PLC0415

    try:
        minute, hour, day, month, weekday = text.split()
        read = crontab(minute, hour, weekday, day, month)
    except (ValueError, ParseException) as problem:
        message = f"not a crontab: {text}"
        raise UnreadableError(message) from problem
    return Crontab(
        frozenset(read.minute),
        frozenset(read.hour),
        frozenset(read.day_of_month),
        frozenset(read.month_of_year),
        frozenset(read.day_of_week),
    )


@lru_cache(maxsize=10_000)
def gaps(text: str) -> Gaps | None:
    """The shortest and longest gap; None for a crontab that is due less than twice in eight years."""
    crontab = read_crontab(text)
    times = crontab.times
    days = _matching_days(crontab.days, crontab.months, crontab.weekdays)
    within = [60 * (later - earlier) for earlier, later in pairwise(times)]
    overnight = DAY_SECONDS - 60 * (times[-1] - times[0])
    across = [(later - earlier - 1) * DAY_SECONDS + overnight for earlier, later in pairwise(days)]
    found = [*within, *{*across}] if days else []
    return Gaps(min(found), max(found)) if found else None


def days(text: str) -> frozenset[int]:
    """The days on which a crontab is due, as numbers within eight years; equal sets are one object."""
    crontab = read_crontab(text)
    return _day_set(crontab.days, crontab.months, crontab.weekdays)


@lru_cache(maxsize=1000)
def _day_set(days: frozenset[int], months: frozenset[int], weekdays: frozenset[int]) -> frozenset[int]:
    return frozenset(_matching_days(days, months, weekdays))


@lru_cache(maxsize=1000)
def _matching_days(days: frozenset[int], months: frozenset[int], weekdays: frozenset[int]) -> list[int]:
    """The days that match all three fields, as Celery requires; Unix cron requires only one of two."""
    every = (FIRST_DAY + timedelta(number) for number in range(DAYS))
    return [
        number
        for number, day in enumerate(every)
        if day.month in months and day.day in days and day.isoweekday() % 7 in weekdays
    ]


def is_flood(text: str) -> bool:
    """Whether a `*` in the minute field turns one intended run into many.

    `* 3 * * *` is due sixty times, but its author probably meant `0 3 * * *`. `* 9-17 * * *` is clear.
    """
    read = read_crontab(text)
    if len(read.minutes) < MINUTES:
        return False
    if len(read.hours) < HOURS:
        return _is_picked(read.hours, HOURS)
    return any(
        len(values) < size and _is_picked(values, size)
        for values, size in ((read.days, 31), (read.months, 12), (read.weekdays, 7))
    )


def _is_picked(values: frozenset[int], size: int) -> bool:
    """Whether no two values are consecutive: the author of a range means all of its minutes."""
    return not any((value + 1) % size in {each % size for each in values} for value in values)


class Step(NamedTuple):
    """A step that does not divide its field: the field, the text, the step and the size of the field."""

    field: Field
    text: str
    step: int
    size: int


def uneven_steps(text: str) -> list[Step]:
    """Steps that match once or twice in their field, because the field restarts first.

    `*/90` in the minute field is due each hour, `*/45` after 45 and then after 15 minutes.
    """
    found = []
    for field, written in zip(FIELDS, text.split(), strict=True):
        for part in written.split(","):
            base, _, step = part.partition("/")
            size = field.most - field.least + 1
            if base in {"*", f"{field.least}-{field.most}"} and step.isdigit() and 2 * int(step) > size:
                found.append(Step(field, part, int(step), size))
    return found
