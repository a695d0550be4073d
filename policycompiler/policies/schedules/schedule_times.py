"""Schedules whose times differ from what most readers expect.

Decides:
    Nothing.

Because:
    Beat does not wait for a run to end before it sends the next one, and it has no lock. If day-of-month and
    day-of-week are both restricted, Celery runs on days that match both. Unix cron runs on days that match
    either.

    When clocks go back, Celery runs nothing in the second pass of the repeated hour. When they go forward,
    a run in the skipped hour starts one hour later on the clock. A daily job is neither doubled nor skipped
    (celery.schedules.crontab,
    https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#crontab-schedules).

    The overlap finding uses only declared run times. A hard time limit is not a run time, and the default
    limit of a task without declared run time is longer than most intervals.

Example:
    tasks: {shop.search.reindex: {latency: batch, runtime: {p50: 2m, p99: 9m}}}
    schedules: {often: {task: shop.search.reindex, every: 5m}}

    refuses beat-overlap

Refuses:
    PC512 beat-overlap: send the task less often, or let the task hold a lock while it runs.
        fires:
            tasks: {shop.a: {runtime: {p50: 20s, p99: 90s}}}
            schedules: {s: {task: shop.a, every: 1m}}
        silent:
            tasks: {shop.a: {runtime: {p50: 20s, p99: 60s}}}
            schedules: {s: {task: shop.a, every: 1m}}
    PC513 beat-dst: use `timezone: UTC`, or an hour that the clocks never skip or repeat.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "30 2 * * *", timezone: Europe/Paris}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "30 3 * * *", timezone: Europe/Paris}}
    PC514 beat-cron-dom-dow: write `*` in one of the two fields, or write two schedules.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 1 * 1"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 1-7 * 1"}}
    PC515 schedule-duplicate: remove one of the two schedules.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}, t: {task: shop.a, every: 60m}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}, t: {task: shop.a, every: 60m, args: [1]}}
    PC549 cron-every-minute: write the minute in the first field.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "* 3 * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
    PC550 cron-step-uneven: write `every:` with an interval, or list the numbers.
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
from policycompiler.quantities import duration

NAME = "schedule-times"

BEAT_OVERLAP = warning("PC512", "beat-overlap")
BEAT_DST = info("PC513", "beat-dst", Profile.STRICT)
BEAT_CRON_DOM_DOW = warning("PC514", "beat-cron-dom-dow")
SCHEDULE_DUPLICATE = warning("PC515", "schedule-duplicate")
CRON_EVERY_MINUTE = warning("PC549", "cron-every-minute")
CRON_STEP_UNEVEN = warning("PC550", "cron-step-uneven")

REFERENCE_YEAR = 2026
"""Zones change their clocks on different days each year, but by the same hours."""
WEEK_DAYS = 7
"""Seven days in a row contain each weekday once: such a crontab selects one weekday of the month."""
ALL_DAYS = 31
ALL_WEEKDAYS = 7


class _Change(NamedTuple):
    """One change of the clocks: the day, and the minutes after midnight that are skipped or repeated."""

    day: date
    minutes: range
    repeated: bool


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each schedule that beat sends."""
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
                f"schedules {first} and {name} send {schedule.task} at the same times with the same "
                "arguments: it runs twice"
            )
            related = (Related(("schedules", first), "first schedule"),)
            help_text = "remove one of the two schedules"
            yield SCHEDULE_DUPLICATE.at(path, message, help=help_text, related=related, at_key=True)


def _sent(plan: Plan, scope: Scope) -> str:
    """The task, arguments, times and queue of a schedule as one text, to compare schedules."""
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
        f"a run may take {duration(p99)} (p99), but beat sends the next one after {duration(interval)}: "
        "two runs overlap"
    )
    help_text = (
        f"send it at most every {duration(p99)}, or let the task hold a lock that expires after its hard "
        "time limit"
    )
    related = (Related(("tasks", task.name, "runtime"), f"p99 {duration(p99)}"),)
    yield BEAT_OVERLAP.at((*path, kind), message, help=help_text, related=related)


def _both_days(cron: str, path: SpecPath) -> Iterator[Diagnostic]:
    crontab = read_crontab(cron)
    if len(crontab.days) == ALL_DAYS or len(crontab.weekdays) == ALL_WEEKDAYS:
        return
    if any(crontab.days >= {*range(first, first + WEEK_DAYS)} for first in crontab.days):
        return
    _, _, day, _, weekday = cron.split()
    message = (
        f"day-of-month `{day}` and day-of-week `{weekday}` are both restricted: Celery runs the task on days "
        "that match both, Unix cron on days that match either"
    )
    help_text = "write `*` in one of the two fields; to match either, write two schedules"
    yield BEAT_CRON_DOM_DOW.at(path, message, help=help_text)


def _misread(cron: str, path: SpecPath) -> Iterator[Diagnostic]:
    """Crontabs that most readers misunderstand."""
    if is_flood(cron):
        minute, *others = cron.split()
        times = len(read_crontab(cron).times)
        message = (
            f"the minute field is `{minute}`, so the task runs {times} times on each matching day, "
            "once a minute"
        )
        help_text = f"write `{' '.join(['0', *others])}` to run once in each matching hour"
        yield CRON_EVERY_MINUTE.at(path, message, help=help_text)
    for field, text, step, size in uneven_steps(cron):
        again = _ONE[field.key]
        rest = size - step
        message = f"`{text}` in the {field.called} field restarts each {again}, so "
        message += (
            f"it matches {field.least} and {field.least + step}"
            if rest > 0
            else f"it matches only {field.least}"
        )
        unit = _UNIT.get(field.key)
        help_text = f"write `every: {step}{unit}` instead of `cron`" if unit else "list the numbers"
        yield CRON_STEP_UNEVEN.at(path, message, help=help_text)


_ONE = {
    "minute": "hour",
    "hour": "day",
    "day_of_month": "month",
    "month_of_year": "year",
    "day_of_week": "week",
}
"""The period after which a field starts again."""
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
        help_text = "write `timezone: UTC` if the schedule must not change on that day"
        if due and change.repeated and apart is not None and apart.shortest <= length * 60:
            message = (
                f"when the clocks of {zone} go back, the time {span} repeats: beat sends nothing in the "
                f"second pass, so the gap is {length} min longer"
            )
            yield BEAT_DST.at(where, message, help=help_text)
        elif due and not change.repeated and len(crontab.hours) == 1:
            message = (
                f"the clocks of {zone} skip the time {span} once a year: on that day beat sends the run of "
                f"{_clock(due[0])} at {_clock(due[0] + length)}"
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
