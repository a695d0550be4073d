"""When schedules are due on a day, and which of them reach one queue at the same minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.knowledge.crontab import UnreadableError, days, read_crontab
from policycompiler.plan import APP, Plan, Scope
from policycompiler.report.page.graph import queue_of

DAY = 1440
"""Minutes."""
_SEASONS = (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC))
"""In between, the clocks of many zones change."""
_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class Lane(NamedTuple):
    """A schedule: its queue, its minutes after midnight, and the days of many years on which it is due.

    Without minutes, it is due at intervals or by the sun.
    """

    schedule: Scope
    queue: Scope
    minutes: tuple[int, ...] = ()
    days: frozenset[int] = frozenset()


class Collision(NamedTuple):
    """Schedules that send to one queue at the same minutes, on some day."""

    queue: Scope
    schedules: tuple[Scope, ...]
    minutes: tuple[int, ...]


def lanes(plan: Plan) -> dict[str, list[Lane]]:
    """The schedules by time zone; those without times of day come last, under an empty name."""
    found: dict[str, list[Lane]] = {}
    for schedule in plan.scopes("schedule"):
        cron = plan.get(schedule, "cron")
        zone = plan.get(schedule, "timezone", plan.get(APP, "timezone", "UTC"))
        found.setdefault("" if cron is None else str(zone), []).append(_lane(plan, schedule, cron))
    return {zone: found[zone] for zone in sorted(found, key=lambda each: (not each, each))}


def _lane(plan: Plan, schedule: Scope, cron: object) -> Lane:
    options = plan.get(schedule, "options")
    named = options.get("queue") if isinstance(options, dict) else None
    task = plan.entry(str(plan.get(schedule, "task")))
    queue = queue_of(plan, task) if named is None else Scope("queue", str(named))
    if not plan.keys(queue):
        queue = queue._replace(kind="elsewhere")
    if not isinstance(cron, dict):
        return Lane(schedule, queue)
    text = " ".join(str(cron.get(field, "*")) for field in _FIELDS)
    try:
        return Lane(schedule, queue, tuple(read_crontab(text).times), days(text))
    except UnreadableError:
        # A plan that a person edited.
        return Lane(schedule, queue)


def collisions(found: Iterable[Lane]) -> list[Collision]:
    """The collisions among the schedules of one time zone, those of most schedules first."""
    at: dict[tuple[Scope, int], list[Lane]] = {}
    for lane in found:
        for minute in lane.minutes:
            at.setdefault((lane.queue, minute), []).append(lane)
    together: dict[tuple[Scope, tuple[Scope, ...]], list[int]] = {}
    for (queue, minute), those in at.items():
        kinds = Counter(lane.days for lane in those)
        names = tuple(sorted(lane.schedule for lane in those if _meets(lane.days, kinds)))
        if names:
            together.setdefault((queue, names), []).append(minute)
    met = [Collision(queue, names, tuple(sorted(those))) for (queue, names), those in together.items()]
    return sorted(met, key=lambda each: (-len(each.schedules), each))


def _meets(own: frozenset[int], kinds: Counter[frozenset[int]]) -> bool:
    """Whether others are due on one of these days; many schedules share few sets of days."""
    return kinds[own] > 1 or any(own != other and not own.isdisjoint(other) for other in kinds)


def across(found: Mapping[str, list[Lane]]) -> list[tuple[Collision, list[str]]]:
    """The collisions among schedules of different time zones, in UTC, with the months whose clocks make them.

    The clocks of the other months are as in one of these two.
    """
    zones = {lane.schedule: zone for zone, lanes in found.items() for lane in lanes}
    months: dict[Collision, list[str]] = {}
    for season in _SEASONS:
        moved = (each for zone, lanes in found.items() for each in _in_utc(zone, lanes, season))
        for met in collisions(moved):
            if len({zones[schedule] for schedule in met.schedules}) > 1:
                months.setdefault(met, []).append(f"{season:%B}")
    return list(months.items())


def _in_utc(zone: str, found: Iterable[Lane], season: datetime) -> Iterator[Lane]:
    """The lanes with their times in UTC; times of the day before or after have a lane of their own."""
    try:
        offset = ZoneInfo(zone).utcoffset(season)
    except (KeyError, ValueError, OSError):
        return
    shift = int(offset.total_seconds()) // 60 if offset is not None else 0
    for lane in found:
        for day in (-1, 0, 1):
            moved = (minute - shift - day * DAY for minute in lane.minutes)
            minutes = tuple(minute for minute in moved if 0 <= minute < DAY)
            if minutes:
                on = lane.days if day == 0 else frozenset(each + day for each in lane.days)
                yield lane._replace(minutes=minutes, days=on)
