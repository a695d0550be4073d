"""When beat sends scheduled tasks.

Decides:
    For each enabled schedule: `schedule:NAME/task`, `args`, `kwargs`, `timezone`, `description`, `owner`, and
    one of `cron`, `every_seconds` and `solar`. Also `app/timezone` and `app/enable_utc`. If the store of beat
    keeps removed entries, a disabled schedule becomes `disabled_schedule:NAME`, with the same keys.

Because:
    Beat sends any task name, and reports no error if no worker knows it. Celery reads a crontab in one time
    zone. The default is UTC, because local times shift twice a year
    (https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html).

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules:
      nightly: {task: shop.reports.nightly, cron: "0 3 * * *", timezone: Europe/Paris}
      sweep: {task: shop.reports.nightly, every: 10m}

    schedule:nightly/timezone = "Europe/Paris"
    schedule:sweep/every_seconds = 600

Refuses:
    PC501 beat-unknown-task: correct the name, or declare the task.
        fires:
            tasks: {shop.mail.send: {}}
            schedules: {s: {task: shop.mail.sent, every: 1m}}
        silent:
            tasks: {shop.mail.send: {}}
            schedules: {s: {task: shop.mail.send, every: 1m}}
    PC503 schedule-kind: write exactly one of `cron`, `every` and `solar`.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", every: 1d}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
    PC504 schedule-cron: correct the field of the crontab.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 24 * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 23 * * *"}}
    PC505 schedule-timezone: use a name of the IANA time zone database.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Pariss}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Paris}}
    PC506 schedule-solar: use a solar event that Celery supports.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, solar: {event: sunup, latitude: 1, longitude: 2}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, solar: {event: sunrise, latitude: 1, longitude: 2}}}
    PC508 timezone-unused: remove `timezone`; only a crontab has a time zone.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, timezone: Europe/Paris}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from policycompiler.diagnostics import (
    Diagnostic,
    Fix,
    Remove,
    Replace,
    SpecPath,
    did_you_mean,
    error,
    fatal,
    warning,
)
from policycompiler.knowledge.beat_schedulers import STORES
from policycompiler.knowledge.cron_dialects import FIELDS, doubt, hint, in_celerys_words, is_sure
from policycompiler.model import Schedule, Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.plan.entries import first_match

NAME = "schedules"

BEAT_UNKNOWN_TASK = error("PC501", "beat-unknown-task")
SCHEDULE_KIND = fatal("PC503", "schedule-kind")
SCHEDULE_CRON = fatal("PC504", "schedule-cron")
SCHEDULE_TIMEZONE = fatal("PC505", "schedule-timezone")
SCHEDULE_SOLAR = fatal("PC506", "schedule-solar")
TIMEZONE_UNUSED = warning("PC508", "timezone-unused")

TIMEZONE = "UTC"
"""UTC has no daylight saving time: no run is doubled, late or skipped."""
ENABLE_UTC = True
"""Times in messages are UTC, so machines in different zones agree."""
KINDS = ("cron", "every", "solar")
KEPT = frozenset(name for name, store in STORES.items() if store.keeps_removed)
"""Stores that keep sending an entry until it is disabled."""

_ZONE_HELP = "write an IANA time zone, such as Europe/Paris or UTC"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Check every schedule, and add the enabled ones to the plan."""
    path: SpecPath
    if plan.find(APP, "timezone") is None:
        because = "UTC has no daylight saving time, and a schedule may declare its own zone"
        yield Decision(APP, "timezone", TIMEZONE, because, (Constant("TIMEZONE", TIMEZONE),))
    elif not _is_zone(str(plan.value(APP, "timezone") or TIMEZONE)):
        message = f"`{plan.value(APP, 'timezone')}` is not a known time zone"
        path = ("celery", "settings", "timezone")
        yield SCHEDULE_TIMEZONE.at(path, message, help=_ZONE_HELP)
    if plan.find(APP, "enable_utc") is None:
        origins = (Constant("ENABLE_UTC", ENABLE_UTC),)
        yield Decision(
            APP, "enable_utc", ENABLE_UTC, "machines in different time zones must agree on times", origins
        )
    globs = [name for name in spec.tasks if "*" in name]
    for name, schedule in sorted(spec.schedules.items()):
        path = ("schedules", name)
        yield from _task_findings(spec, globs, schedule, path)
        untimed = [*_time_findings(schedule, path)]
        yield from untimed
        if schedule.timezone is not None and schedule.cron is None:
            message = "`timezone` has no effect here: it applies only to `cron`"
            where = (*path, "timezone")
            yield TIMEZONE_UNUSED.at(where, message, help="remove `timezone`", fix=(Remove(where),))
        if untimed:
            continue
        if schedule.enabled is not False:
            yield from _decisions(plan, Scope("schedule", name), schedule, path)
        elif plan.get(BEAT, "store") in KEPT:
            yield from _decisions(plan, Scope("disabled_schedule", name), schedule, path)


def _task_findings(
    spec: Workload, globs: list[str], schedule: Schedule, path: SpecPath
) -> Iterator[Diagnostic]:
    task = schedule.task
    if task in spec.tasks or task.startswith("celery."):
        return
    if first_match(task, globs) is None:
        message = f"task `{task}` is not declared, but beat would send it anyway"
        where = (*path, "task")
        renamed = [name for name, fields in spec.tasks.items() if task in (fields.renamed_from or ())]
        if len(renamed) == 1 and "*" not in renamed[0]:
            help_text, fix = f"write `{renamed[0]}`, its new name", (Replace(where, renamed[0]),)
            yield BEAT_UNKNOWN_TASK.at(where, message, help=help_text, fix=fix)
        else:
            help_text = did_you_mean(task, spec.tasks) or "declare it under `tasks:`"
            yield BEAT_UNKNOWN_TASK.at(where, message, help=help_text)


def _time_findings(schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    given = [kind for kind in KINDS if getattr(schedule, kind) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        message = f"a schedule must have exactly one of `cron`, `every` and `solar`; found {found}"
        help_text = "keep one of them" if given else "add one of them"
        yield SCHEDULE_KIND.at((*path, given[-1]) if given else path, message, help=help_text)
    if schedule.timezone is not None and not _is_zone(schedule.timezone):
        message = f"`{schedule.timezone}` is not a known time zone"
        yield SCHEDULE_TIMEZONE.at((*path, "timezone"), message, help=_ZONE_HELP)
    if schedule.cron is not None:
        problem = _cron_problem(schedule.cron)
        if problem:
            yield _unreadable(schedule.cron, problem, (*path, "cron"))
    if schedule.solar is not None:
        # Celery is imported only here, where its checks are needed: it is slow to import.
        from celery.schedules import solar  # noqa: PLC0415

        events = sorted(solar._all_events)  # noqa: SLF001 - the list that Celery itself checks against
        if schedule.solar.event not in events:
            message = f"`{schedule.solar.event}` is not a solar event; Celery supports: {', '.join(events)}"
            yield SCHEDULE_SOLAR.at((*path, "solar", "event"), message)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _unreadable(text: str, problem: str, path: SpecPath) -> Diagnostic:
    """The finding with a crontab that Celery can read, if the text has the form of another program."""
    equivalent = in_celerys_words(text)
    if equivalent is not None and _cron_problem(equivalent) is None:
        fix: Fix = (Replace(path, equivalent),) if is_sure(text) else ()
        return SCHEDULE_CRON.at(path, problem, help=f"write `{equivalent}`{doubt(text)}", fix=fix)
    usual = "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`"
    return SCHEDULE_CRON.at(path, problem, help=hint(text) or usual)


def _cron_problem(text: str) -> str | None:
    """Why Celery cannot read a crontab, or None."""
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - slow to import

    fields = text.split()
    if len(fields) != len(FIELDS):
        return f"a crontab must have {len(FIELDS)} fields; found {len(fields)}"
    for field, written in zip(FIELDS, fields, strict=True):
        try:
            crontab(**{field.key: written})
        except (ValueError, ParseException):
            return (
                f"the {field.called} field is `{written}`; it may have numbers from {field.least} to "
                f"{field.most}, `*`, ranges (`1-5`), lists (`1,5`) and steps (`*/2`)"
            )
    try:
        crontab(day_of_month=fields[2], month_of_year=fields[3])
    except ValueError:
        return f"day {fields[2]} does not exist in month {fields[3]}"
    return None


def _decisions(plan: Plan, scope: Scope, schedule: Schedule, path: SpecPath) -> Iterator[Decision]:
    timing = _timing(schedule)
    declared = "the schedule declares it"
    yield Decision(scope, *timing, declared, (Written((*path, _kind(schedule))),))
    yield Decision(scope, "task", schedule.task, declared, (Written((*path, "task")),))
    for key in ("args", "kwargs", "description", "owner"):
        value = getattr(schedule, key)
        if value is not None:
            yield Decision(scope, key, value, declared, (Written((*path, key)),))
    if schedule.cron is not None:
        zone = schedule.timezone or plan.value(APP, "timezone") or TIMEZONE
        origins: tuple[Origin, ...] = (Written((*path, "timezone")),)
        because = declared
        if schedule.timezone is None:
            of_app = plan.setting(APP, "timezone")
            # A crontab without a zone of its own follows the app, whatever its code sets.
            left = of_app.origins if of_app.is_left_to_celery else ()
            origins = (*left, Derived(APP, "timezone"))
            because = "the schedule declares no time zone, and the app has this one"
        yield Decision(scope, "timezone", zone, because, origins)


def _kind(schedule: Schedule) -> str:
    return next(kind for kind in KINDS if getattr(schedule, kind) is not None)


def _timing(schedule: Schedule) -> tuple[str, Value]:
    if schedule.cron is not None:
        keys = (field.key for field in FIELDS)
        return "cron", dict(zip(keys, schedule.cron.split(), strict=True))
    if schedule.solar is not None:
        return "solar", schedule.solar.model_dump()
    return "every_seconds", schedule.every
