"""Schedules whose times do not come to what they seem to say.

Decides:
    Nothing.

Because:
    Beat does not wait for a run to end before it sends the next one, and has no lock that would. Where both
    days are restricted Celery wants a day to match both, and Unix cron either of them. When the clocks go
    back Celery runs nothing in the second pass of the repeated hour, and when they go forward what is due in
    the skipped hour runs one hour later by the clock; a job once a day is neither doubled nor left out
    (celery.schedules.crontab, https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#crontab-schedules).
    An overlap is told by the declared run time alone: a hard limit is no run time, and the one that stands
    for an undeclared run time is longer than most intervals.

Example:
    tasks: {shop.search.reindex: {latency: batch, runtime: {p50: 2m, p99: 9m}}}
    schedules: {often: {task: shop.search.reindex, every: 5m}}

    refuses beat-overlap

Refuses:
    PC512 beat-overlap: send it less often, or let the task itself see that it does not run twice at a time.
        fires:
            tasks: {shop.a: {runtime: {p50: 20s, p99: 90s}}}
            schedules: {s: {task: shop.a, every: 1m}}
        silent:
            tasks: {shop.a: {runtime: {p50: 20s, p99: 60s}}}
            schedules: {s: {task: shop.a, every: 1m}}
    PC513 beat-dst: read it in UTC, or at an hour that the clocks never skip or repeat.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "30 2 * * *", timezone: Europe/Paris}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "30 3 * * *", timezone: Europe/Paris}}
    PC514 beat-cron-dom-dow: restrict one of the two, or split it into two schedules.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 1 * 1"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 1-7 * 1"}}
    PC515 schedule-duplicate: remove one of the two.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}, t: {task: shop.a, every: 60m}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}, t: {task: shop.a, every: 60m, args: [1]}}
    PC549 cron-every-minute: write the minute.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "* 3 * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
    PC550 cron-step-uneven: write an interval, or the numbers.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "*/90 * * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 90m}}

Parameters:
    None.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, info, warning
from policycompiler.knowledge.crontab import gaps, is_flood, read_crontab, uneven_steps
from policycompiler.model import Schedule, Workload
from policycompiler.plan import Plan, Scope

NAME = "schedule-times"

BEAT_OVERLAP = warning("PC512", "beat-overlap")
BEAT_DST = info("PC513", "beat-dst", Profile.STRICT)
BEAT_CRON_DOM_DOW = warning("PC514", "beat-cron-dom-dow")
SCHEDULE_DUPLICATE = warning("PC515", "schedule-duplicate")
CRON_EVERY_MINUTE = warning("PC549", "cron-every-minute")
CRON_STEP_UNEVEN = warning("PC550", "cron-step-uneven")

REFERENCE_YEAR = 2026
"""Zones change their clocks on other days of each year, and by the same hours."""
WEEK_DAYS = 7
"""So many days in a row hold each day of the week: whoever names them wants a certain one of the month."""
ALL_DAYS = 31
ALL_WEEKDAYS = 7


class _Change(NamedTuple):
    """One change of the clocks: the day, and the minutes after midnight that are skipped or repeated."""

    day: date
    minutes: range
    repeated: bool


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at each schedule that beat sends."""
    seen: dict[str, str] = {}
    for scope in plan.scopes("schedule"):
        name, schedule = scope.name, spec.schedules[scope.name]
        path: SpecPath = ("schedules", name)
        yield from _overlap(plan, schedule, path)
        if schedule.cron is not None:
            yield from _dst(plan.text(scope, "timezone"), schedule, schedule.cron, path)
            yield from _both_days(schedule.cron, (*path, "cron"))
            yield from _misread(schedule.cron, (*path, "cron"))
        first = seen.setdefault(_sent(plan, scope), name)
        if first != name:
            message = (
                f"{first} sends {schedule.task} at the same times with the same arguments: it runs twice"
            )
            related = (Related(("schedules", first), "the other one"),)
            yield SCHEDULE_DUPLICATE.at(
                path, message, help="remove one of the two", related=related, at_key=True
            )


def _sent(plan: Plan, scope: Scope) -> str:
    """What is sent and when, to compare."""
    keys = ("task", "args", "kwargs", "cron", "timezone", "every_seconds", "solar")
    values = [plan.get(scope, key) for key in keys]
    return json.dumps([*values, _queue(plan, scope)], sort_keys=True)


def _queue(plan: Plan, scope: Scope) -> object:
    options = plan.get(scope, "options")
    return options.get("queue") if isinstance(options, dict) else None


def _overlap(plan: Plan, schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    task = plan.entry(schedule.task)
    p99 = None if task is None else plan.number_if_any(task, "runtime_p99_seconds")
    kind = "every" if schedule.every is not None else "cron"
    apart = gaps(schedule.cron) if schedule.cron is not None else None
    interval = schedule.every if schedule.every is not None else apart.shortest if apart else None
    if task is None or p99 is None or interval is None or p99 <= interval:
        return
    message = (
        f"a run may take {p99:g} s (p99), but the next one is sent after {interval:g} s: two run at a time"
    )
    help_text = (
        f"send it at most every {p99:g} s, or let the task hold a lock that expires after its hard limit"
    )
    related = (Related(("tasks", task.name, "runtime"), f"p99 {p99:g} s"),)
    yield BEAT_OVERLAP.at((*path, kind), message, help=help_text, related=related)


def _both_days(cron: str, path: SpecPath) -> Iterator[Diagnostic]:
    crontab = read_crontab(cron)
    if len(crontab.days) == ALL_DAYS or len(crontab.weekdays) == ALL_WEEKDAYS:
        return
    if any(crontab.days >= {*range(first, first + WEEK_DAYS)} for first in crontab.days):
        return
    _, _, day, _, weekday = cron.split()
    message = (
        f"day-of-month `{day}` and day-of-week `{weekday}`: Celery runs it on days that match both, "
        "Unix cron on days that match either"
    )
    help_text = "write `*` for one of the two; for either of them, write two schedules"
    yield BEAT_CRON_DOM_DOW.at(path, message, help=help_text)


def _misread(cron: str, path: SpecPath) -> Iterator[Diagnostic]:
    """What most readers take for something else."""
    if is_flood(cron):
        minute, *others = cron.split()
        times = len(read_crontab(cron).times)
        message = f"`{minute}` in the minute: it runs {times} times on each day that matches, once a minute"
        help_text = f"write `{' '.join(['0', *others])}` to run once an hour that matches"
        yield CRON_EVERY_MINUTE.at(path, message, help=help_text)
    for field, text, step, size in uneven_steps(cron):
        again = _ONE[field.key]
        rest = size - step
        message = f"`{text}` in the {field.called}: the count begins again each {again}, so "
        message += (
            f"it matches {field.least} and {field.least + step}"
            if rest > 0
            else f"only {field.least} matches"
        )
        unit = _UNIT.get(field.key)
        help_text = f"write `every: {step}{unit}` instead of `cron`" if unit else "write the numbers"
        yield CRON_STEP_UNEVEN.at(path, message, help=help_text)


_ONE = {
    "minute": "hour",
    "hour": "day",
    "day_of_month": "month",
    "month_of_year": "year",
    "day_of_week": "week",
}
"""After what a field begins again."""
_UNIT = {"minute": "m", "hour": "h", "day_of_month": "d"}


def _dst(zone: str, schedule: Schedule, cron: str, path: SpecPath) -> Iterator[Diagnostic]:
    crontab, apart = read_crontab(cron), gaps(cron)
    where = (*path, "cron") if schedule.timezone is None else (*path, "timezone")
    for change in _changes(zone):
        weekday = change.day.isoweekday() % WEEK_DAYS
        if change.day.month not in crontab.months or weekday not in crontab.weekdays:
            continue
        due = [minute for minute in crontab.times if minute in change.minutes]
        length = len(change.minutes)
        span = f"from {_clock(change.minutes.start)} to {_clock(change.minutes.stop)}"
        help_text = "`timezone: UTC` has no such day; or bear it"
        if due and change.repeated and apart is not None and apart.shortest <= length * 60:
            message = (
                f"the hour {span} comes twice when the clocks of {zone} go back, and nothing is sent in its "
                f"second pass: for {length} min more than usual"
            )
            yield BEAT_DST.at(where, message, help=help_text)
        elif due and not change.repeated and len(crontab.hours) == 1:
            message = (
                f"the clocks of {zone} skip the time {span} once a year: on that day {_clock(due[0])} is "
                f"sent at {_clock(due[0] + length)}"
            )
            yield BEAT_DST.at(where, message, help=help_text)


@lru_cache(maxsize=100)
def _changes(name: str) -> list[_Change]:
    """The changes of the clocks in a year, the first one first."""
    zone = ZoneInfo(name)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone).utcoffset() or timedelta()

    found = []
    day = datetime(REFERENCE_YEAR, 1, 1, tzinfo=UTC)
    while day.year == REFERENCE_YEAR:
        following = day + timedelta(days=1)
        if offset(day) != offset(following):
            low, high = 0, 24 * 60
            while high - low > 1:
                middle = (low + high) // 2
                same = offset(day + timedelta(minutes=middle)) == offset(day)
                low, high = (middle, high) if same else (low, middle)
            moment = day + timedelta(minutes=high)
            before, after = (
                (moment + each).replace(tzinfo=None) for each in (offset(day), offset(following))
            )
            first, last = min(before, after), max(before, after)
            start = first.hour * 60 + first.minute
            length = int((last - first).total_seconds() // 60)
            found.append(_Change(first.date(), range(start, start + length), after < before))
        day = following
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"
