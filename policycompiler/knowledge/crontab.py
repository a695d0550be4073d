"""What a crontab of the workload comes to: its times of day, its days, and how far apart its runs are."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from policycompiler.knowledge.cron_dialects import FIELDS, Field

DAY_SECONDS = 86400
MINUTES = 60
HOURS = 24
_FIRST_DAY = date(2024, 1, 1)
_DAYS = 2922
"""Eight years: all lengths of a month, both kinds of year, each date on most days of the week."""


class Crontab(NamedTuple):
    """The numbers that each field stands for; weekdays count from Sunday as 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def times(self) -> list[int]:
        """Minutes after midnight at which it is due, sorted."""
        return sorted(60 * hour + minute for hour in self.hours for minute in self.minutes)

    @property
    def every_day(self) -> bool:
        """Whether no field leaves a day out."""
        return len(self.days) == 31 and len(self.months) == 12 and len(self.weekdays) == 7  # noqa: PLR2004


class Gaps(NamedTuple):
    """Seconds between two runs that follow each other by the clock on the wall."""

    shortest: int
    longest: int


@lru_cache(maxsize=10_000)
def read_crontab(text: str) -> Crontab:
    """The fields of a crontab that `schedules` has accepted, read as Celery reads them."""
    # Celery is imported only where its own reader is needed: it is slow to import.
    from celery.schedules import crontab  # noqa: PLC0415

    minute, hour, day, month, weekday = text.split()
    read = crontab(minute, hour, weekday, day, month)
    return Crontab(
        frozenset(read.minute),
        frozenset(read.hour),
        frozenset(read.day_of_month),
        frozenset(read.month_of_year),
        frozenset(read.day_of_week),
    )


@lru_cache(maxsize=10_000)
def gaps(text: str) -> Gaps | None:
    """The shortest and the longest gap; None of a crontab that is due less than twice in eight years."""
    crontab = read_crontab(text)
    times = crontab.times
    days = _matching_days(crontab.days, crontab.months, crontab.weekdays)
    within = [60 * (later - earlier) for earlier, later in pairwise(times)]
    overnight = DAY_SECONDS - 60 * (times[-1] - times[0])
    across = [(later - earlier - 1) * DAY_SECONDS + overnight for earlier, later in pairwise(days)]
    found = [*within, *{*across}] if days else []
    return Gaps(min(found), max(found)) if found else None


@lru_cache(maxsize=1000)
def _matching_days(days: frozenset[int], months: frozenset[int], weekdays: frozenset[int]) -> list[int]:
    """Celery wants a day to match all three fields, where Unix takes either of two."""
    every = (_FIRST_DAY + timedelta(number) for number in range(_DAYS))
    return [
        number
        for number, day in enumerate(every)
        if day.month in months and day.day in days and day.isoweekday() % 7 in weekdays
    ]


def is_flood(text: str) -> bool:
    """Whether a `*` in the minute makes one run of a picked hour or day many.

    `* 3 * * *` is due sixty times, where `0 3 * * *` was meant; `* 9-17 * * *` says what it means.
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
    """Whether no two of them follow each other: a range was meant as one."""
    return not any((value + 1) % size in {each % size for each in values} for value in values)


class Step(NamedTuple):
    """A step that does not divide its field: which field, as written, its length and the field's."""

    field: Field
    text: str
    step: int
    size: int


def uneven_steps(text: str) -> list[Step]:
    """Steps that match once or twice in their field, and begin again before they are over.

    `*/90` in the minute is due each hour, `*/45` after 45 and then after 15 minutes.
    """
    found = []
    for field, written in zip(FIELDS, text.split(), strict=True):
        for part in written.split(","):
            base, _, step = part.partition("/")
            size = field.most - field.least + 1
            if base in {"*", f"{field.least}-{field.most}"} and step.isdigit() and 2 * int(step) > size:
                found.append(Step(field, part, int(step), size))
    return found
