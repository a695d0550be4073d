"""Whether a schedule that is written differently still fires at the same times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from policycompiler.plan import Plan, Scope
from policycompiler.review.differences.firings import ClockChange, clock_changes, timing

_COMPARED_YEARS = range(2026, 2036)
_EVERY_DAY = ({*range(1, 32)}, {*range(1, 13)}, {*range(7)})


def are_alike(old: Plan, new: Plan, schedule: Scope) -> bool:
    """Whether two plans provably fire a schedule at the same times.

    The proof needs the same times in time zones whose clocks agree for years, or daily times in time zones
    without clock changes. The result does not depend on the day of the comparison.
    """
    first, second = timing(old, schedule), timing(new, schedule)
    if first is None or second is None:
        return False
    if first.every is not None or second.every is not None:
        return first.every == second.every
    changes = [_clock_changes(each.zone) for each in (first, second)]
    ahead = _offset(second.zone) - _offset(first.zone)
    if _days(first.crontab) != _days(second.crontab) or changes[0] != changes[1]:
        return False
    if not ahead:
        return _times_of_day(first.crontab) == _times_of_day(second.crontab)
    daily = _days(first.crontab) == _EVERY_DAY and not changes[0]
    return daily and _times_of_day(first.crontab, ahead) == _times_of_day(second.crontab)


def _clock_changes(zone: ZoneInfo) -> list[ClockChange]:
    """All clock changes in the years that are compared."""
    starts = [datetime(year, 1, 1, tzinfo=UTC) for year in _COMPARED_YEARS]
    return [change for start in starts for change in clock_changes(zone, start)]


def _offset(zone: ZoneInfo) -> timedelta:
    return datetime(_COMPARED_YEARS[0], 1, 1, tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()


def _days(crontab: Any) -> tuple[set[int], ...]:  # noqa: ANN401
    return crontab.day_of_month, crontab.month_of_year, crontab.day_of_week


def _times_of_day(crontab: Any, later: timedelta = timedelta()) -> set[timedelta]:  # noqa: ANN401
    """The times since midnight at which a crontab fires, on a clock that is `later` ahead of its own."""
    return {
        (timedelta(hours=hour, minutes=minute) + later) % timedelta(days=1)
        for hour in crontab.hour
        for minute in crontab.minute
    }
