"""When periodic tasks are sent, and with what.

Decides:
    Of each enabled schedule `schedule:NAME/task`, `args`, `kwargs`, `options`, `timezone`, and one of
    `cron`, `every_seconds` and `solar`; `app/timezone` and `app/enable_utc`.

Because:
    Beat sends whatever name it is given and tells nobody that no worker knows it. A run that waits
    longer than its interval is followed by the next one, so after an outage only the last matters: it
    expires a little before. A crontab is read in one zone, UTC unless said otherwise, as local times
    shift twice a year.

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules:
      nightly: {task: shop.reports.nightly, cron: "0 3 * * *", timezone: Europe/Paris}
      sweep: {task: shop.reports.nightly, every: 10m}

    schedule:nightly/timezone = "Europe/Paris"
    schedule:sweep/every_seconds = 600
    schedule:sweep/options = {"expires": 540}

Refuses:
    PC501 beat-unknown-task: correct the name, or declare the task.
    PC503 schedule-kind: give exactly one of cron, every and solar.
    PC504 schedule-cron: correct the field.
    PC505 schedule-timezone: use a name of the IANA database.
    PC506 schedule-solar: use an event that Celery knows.
    PC507 expires-twice: keep one of them.
    PC508 timezone-unused: remove it; only a crontab is read in a zone.
    PC509 schedule-limit-above-task: lower it, or declare the longer run time with the task.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, did_you_mean, error, warning
from policycompiler.model import Schedule, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written

NAME = "schedules"

BEAT_UNKNOWN_TASK = error("PC501", "beat-unknown-task")
SCHEDULE_KIND = error("PC503", "schedule-kind")
SCHEDULE_CRON = error("PC504", "schedule-cron")
SCHEDULE_TIMEZONE = error("PC505", "schedule-timezone")
SCHEDULE_SOLAR = error("PC506", "schedule-solar")
EXPIRES_TWICE = error("PC507", "expires-twice")
TIMEZONE_UNUSED = warning("PC508", "timezone-unused")
SCHEDULE_LIMIT_ABOVE_TASK = error("PC509", "schedule-limit-above-task")

TIMEZONE = "UTC"
"""Has no daylight saving: nothing runs twice, late or not at all."""
ENABLE_UTC = True
"""Times in messages are UTC, so that machines in two zones agree."""
EXPIRES_OF_INTERVAL = 0.9
"""A little before the next run is due."""
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
KINDS = ("cron", "every", "solar")

_ZONE_HELP = "write one such as Europe/Paris or UTC"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Check every schedule, carry the enabled ones into the plan."""
    path: SpecPath
    if plan.find(APP, "timezone") is None:
        because = "has no daylight saving; a schedule may name its own zone"
        yield Decision(APP, "timezone", TIMEZONE, because, (Constant("TIMEZONE", TIMEZONE),))
    elif not _is_zone(str(plan.value(APP, "timezone") or TIMEZONE)):
        message = f"no time zone `{plan.value(APP, 'timezone')}`"
        path = ("celery", "settings", "timezone")
        yield SCHEDULE_TIMEZONE.at(path, message, help=_ZONE_HELP)
    if plan.find(APP, "enable_utc") is None:
        origins = (Constant("ENABLE_UTC", ENABLE_UTC),)
        yield Decision(APP, "enable_utc", ENABLE_UTC, "machines in two zones agree", origins)
    globs = [name for name in spec.tasks if "*" in name]
    for name, schedule in sorted(spec.schedules.items()):
        path = ("schedules", name)
        findings = [*_task_findings(spec, globs, schedule, path), *_time_findings(schedule, path)]
        yield from findings
        yield from _option_findings(schedule, path)
        candidates = [schedule.task] if schedule.task in spec.tasks else globs
        yield from _limit_findings(plan, candidates, schedule, path)
        if not findings and schedule.enabled is not False:
            yield from _decisions(plan, Scope("schedule", name), schedule, path)


def _task_findings(
    spec: Workload, globs: list[str], schedule: Schedule, path: SpecPath
) -> Iterator[Diagnostic]:
    task = schedule.task
    if task in spec.tasks or task.startswith("celery."):
        return
    if not any(fnmatchcase(task, glob) for glob in globs):
        help_text = did_you_mean(task, spec.tasks) or "declare it under `tasks:`"
        message = f"no task `{task}` is declared; beat would send it all the same"
        yield BEAT_UNKNOWN_TASK.at((*path, "task"), message, help=help_text)


def _time_findings(schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    given = [kind for kind in KINDS if getattr(schedule, kind) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        message = f"a schedule has exactly one of cron, every and solar; found {found}"
        help_text = "keep one of them" if given else "add one of them"
        yield SCHEDULE_KIND.at((*path, given[-1]) if given else path, message, help=help_text)
    if schedule.timezone is not None and not _is_zone(schedule.timezone):
        message = f"no time zone `{schedule.timezone}`"
        yield SCHEDULE_TIMEZONE.at((*path, "timezone"), message, help=_ZONE_HELP)
    if schedule.cron is not None:
        problem = _cron_problem(schedule.cron)
        if problem:
            help_text = "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`"
            yield SCHEDULE_CRON.at((*path, "cron"), problem, help=help_text)
    if schedule.solar is not None:
        # Celery is imported only where its own checks are needed: it is slow to import.
        from celery.schedules import solar  # noqa: PLC0415

        events = sorted(solar._all_events)  # noqa: SLF001 - the list that Celery itself checks against
        if schedule.solar.event not in events:
            message = f"no event of the sun `{schedule.solar.event}`; there are: {', '.join(events)}"
            yield SCHEDULE_SOLAR.at((*path, "solar", "event"), message)


def _option_findings(schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    """What is said twice, or in vain."""
    if schedule.expires is not None and schedule.options is not None and schedule.options.expires is not None:
        related = (Related((*path, "expires"), "also given here"),)
        message = "the expiry is given twice"
        yield EXPIRES_TWICE.at(
            (*path, "options", "expires"), message, help="keep one of them", related=related
        )
    if schedule.timezone is not None and schedule.cron is None:
        message = "only a cron is read in a zone; here it changes nothing"
        yield TIMEZONE_UNUSED.at((*path, "timezone"), message, help="remove it")


def _limit_findings(
    plan: Plan, candidates: list[str], schedule: Schedule, path: SpecPath
) -> Iterator[Diagnostic]:
    """Limits that travel with the message beat the task's own, on which every stop and timeout counts."""
    names = [name for name in candidates if fnmatchcase(schedule.task, name)]
    if not names or schedule.options is None:
        return
    hard = plan.number_if_any(Scope("task", names[0]), "options.time_limit")
    for key in ("soft_time_limit", "time_limit"):
        limit = getattr(schedule.options, key)
        if limit is not None and hard is not None and limit > hard:
            message = (
                f"a {key} of {limit:g} s; stops and timeouts count on the task's hard limit of {hard:g} s"
            )
            related = (Related(("tasks", names[0]), f"hard limit {hard:g} s"),)
            help_text = "lower it, or declare the longer run time with the task"
            yield SCHEDULE_LIMIT_ABOVE_TASK.at(
                (*path, "options", key), message, help=help_text, related=related
            )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _cron_problem(text: str) -> str | None:
    """What Celery has against a crontab, in words, or None."""
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - slow to import

    fields = text.split()
    if len(fields) != len(CRON_FIELDS):
        return f"a crontab has {len(CRON_FIELDS)} fields; found {len(fields)}"
    for key, field in zip(CRON_FIELDS, fields, strict=True):
        try:
            crontab(**{key: field})
        except (ValueError, ParseException) as problem:
            return f"the field {key} is `{field}`: {problem}"
    try:
        crontab(day_of_month=fields[2], month_of_year=fields[3])
    except ValueError:
        return f"no year has a day {fields[2]} in month {fields[3]}"
    return None


def _decisions(plan: Plan, scope: Scope, schedule: Schedule, path: SpecPath) -> Iterator[Decision]:
    timing = _timing(schedule)
    yield Decision(scope, *timing, "declared", (Written((*path, _kind(schedule))),))
    yield Decision(scope, "task", schedule.task, "declared", (Written((*path, "task")),))
    for key in ("args", "kwargs"):
        value = getattr(schedule, key)
        if value is not None:
            yield Decision(scope, key, value, "declared", (Written((*path, key)),))
    if schedule.cron is not None:
        zone = schedule.timezone or plan.value(APP, "timezone") or TIMEZONE
        origin: Origin = Written((*path, "timezone"))
        because = "declared"
        if schedule.timezone is None:
            origin, because = Derived(APP, "timezone"), "no zone is declared, so the app's"
        yield Decision(scope, "timezone", zone, because, (origin,))
    options, because, origins = _options(schedule, path)
    if options:
        yield Decision(scope, "options", options, because, origins)


def _kind(schedule: Schedule) -> str:
    return next(kind for kind in KINDS if getattr(schedule, kind) is not None)


def _timing(schedule: Schedule) -> tuple[str, Value]:
    if schedule.cron is not None:
        return "cron", dict(zip(CRON_FIELDS, schedule.cron.split(), strict=True))
    if schedule.solar is not None:
        return "solar", schedule.solar.model_dump()
    return "every_seconds", schedule.every


def _options(schedule: Schedule, path: SpecPath) -> tuple[dict[str, Value], str, tuple[Origin, ...]]:
    options: dict[str, Value] = {}
    origins: tuple[Origin, ...] = ()
    because = "declared"
    if schedule.options is not None:
        options = schedule.options.model_dump(exclude_none=True)
        origins = (Written((*path, "options")),)
    if schedule.expires is not None:
        options = {**options, "expires": schedule.expires}
        origins += (Written((*path, "expires")),)
    elif schedule.every is not None and "expires" not in options and schedule.every > 1:
        options = {**options, "expires": max(1, math.floor(schedule.every * EXPIRES_OF_INTERVAL))}
        origins += (Written((*path, "every")), Constant("EXPIRES_OF_INTERVAL", EXPIRES_OF_INTERVAL))
        because = "a run that has waited for its whole interval is followed by the next one"
    return options, because, origins
