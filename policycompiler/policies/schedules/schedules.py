"""When periodic tasks are sent.

Decides:
    Of each enabled schedule `schedule:NAME/task`, `args`, `kwargs`, `timezone`, `description`, `owner`, and
    one of `cron`, `every_seconds` and `solar`; `app/timezone` and `app/enable_utc`. Where beat keeps entries
    in a store that has to be told, a disabled schedule becomes `disabled_schedule:NAME`, with the same keys.

Because:
    Beat sends whatever name it is given and tells nobody that no worker knows it. A crontab is read in one
    zone, UTC unless said otherwise, as local times shift twice a year
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
    PC503 schedule-kind: give exactly one of cron, every and solar.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", every: 1d}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
    PC504 schedule-cron: correct the field.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 24 * * *"}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 23 * * *"}}
    PC505 schedule-timezone: use a name of the IANA database.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Pariss}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Paris}}
    PC506 schedule-solar: use an event that Celery knows.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, solar: {event: sunup, latitude: 1, longitude: 2}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, solar: {event: sunrise, latitude: 1, longitude: 2}}}
    PC508 timezone-unused: remove it; only a crontab is read in a zone.
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
"""Has no daylight saving: nothing runs twice, late or not at all."""
ENABLE_UTC = True
"""Times in messages are UTC, so that machines in two zones agree."""
KINDS = ("cron", "every", "solar")
KEPT = frozenset(name for name, store in STORES.items() if store.keeps_removed)
"""Stores in which an entry is sent until it is told to be disabled."""

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
        yield from _task_findings(spec, globs, schedule, path)
        untimed = [*_time_findings(schedule, path)]
        yield from untimed
        if schedule.timezone is not None and schedule.cron is None:
            message = "only a cron is read in a zone; here it changes nothing"
            where = (*path, "timezone")
            yield TIMEZONE_UNUSED.at(where, message, help="remove it", fix=(Remove(where),))
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
        message = f"no task `{task}` is declared; beat would send it all the same"
        where = (*path, "task")
        renamed = [name for name, fields in spec.tasks.items() if task in (fields.renamed_from or ())]
        if len(renamed) == 1 and "*" not in renamed[0]:
            help_text, fix = f"it is called `{renamed[0]}` now", (Replace(where, renamed[0]),)
            yield BEAT_UNKNOWN_TASK.at(where, message, help=help_text, fix=fix)
        else:
            help_text = did_you_mean(task, spec.tasks) or "declare it under `tasks:`"
            yield BEAT_UNKNOWN_TASK.at(where, message, help=help_text)


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
            yield _unreadable(schedule.cron, problem, (*path, "cron"))
    if schedule.solar is not None:
        # Celery is imported only where its own checks are needed: it is slow to import.
        from celery.schedules import solar  # noqa: PLC0415

        events = sorted(solar._all_events)  # noqa: SLF001 - the list that Celery itself checks against
        if schedule.solar.event not in events:
            message = f"no event of the sun `{schedule.solar.event}`; there are: {', '.join(events)}"
            yield SCHEDULE_SOLAR.at((*path, "solar", "event"), message)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _unreadable(text: str, problem: str, path: SpecPath) -> Diagnostic:
    """What to write instead, in Celery's words where another program's were used."""
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
        return f"a crontab has {len(FIELDS)} fields; found {len(fields)}"
    for field, written in zip(FIELDS, fields, strict=True):
        try:
            crontab(**{field.key: written})
        except (ValueError, ParseException):
            return (
                f"the field {field.called} is `{written}`; allowed are numbers from {field.least} to "
                f"{field.most}, `*`, ranges (`1-5`), lists (`1,5`) and steps (`*/2`)"
            )
    try:
        crontab(day_of_month=fields[2], month_of_year=fields[3])
    except ValueError:
        return f"no year has a day {fields[2]} in month {fields[3]}"
    return None


def _decisions(plan: Plan, scope: Scope, schedule: Schedule, path: SpecPath) -> Iterator[Decision]:
    timing = _timing(schedule)
    yield Decision(scope, *timing, "declared", (Written((*path, _kind(schedule))),))
    yield Decision(scope, "task", schedule.task, "declared", (Written((*path, "task")),))
    for key in ("args", "kwargs", "description", "owner"):
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


def _kind(schedule: Schedule) -> str:
    return next(kind for kind in KINDS if getattr(schedule, kind) is not None)


def _timing(schedule: Schedule) -> tuple[str, Value]:
    if schedule.cron is not None:
        keys = (field.key for field in FIELDS)
        return "cron", dict(zip(keys, schedule.cron.split(), strict=True))
    if schedule.solar is not None:
        return "solar", schedule.solar.model_dump()
    return "every_seconds", schedule.every
