"""Schedules that a scheduler with its own store cannot keep.

Decides:
    Nothing.

Because:
    django-celery-beat stores an entry in the columns of a row. It silently drops options without a column,
    and fractions of a second. An interval below one second becomes 0, so the entry is always due.

    RedBeat stores an entry as JSON. A crontab loses its own time zone: RedBeat uses the zone of the app.
    With a solar schedule beat does not start. RedBeat needs Redis, even if the broker is not Redis.

Example:
    tasks: {shop.a: {}}
    schedules: {s: {task: shop.a, every: 1h, options: {countdown: 60}}}
    beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}

    refuses schedule-option-dropped

Refuses:
    PC543 schedule-option-dropped: declare the option for the task, or send the task from code.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, options: {countdown: 60}}}
            beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h, options: {priority: 3}}}
            beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
    PC544 schedule-fraction-dropped: write whole seconds.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 500ms}}
            beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1s}}
            beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
    PC545 schedule-zone-dropped: use the time zone of the app, or another scheduler.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Paris}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}
    PC546 schedule-solar-refused: use a crontab, or another scheduler.
        when: a schedule is solar, and RedBeat is the scheduler.
    PC547 schedule-name-too-long: shorten the name of the task.
        when: the name of a scheduled task is longer than its column in the database.
    PC548 redbeat-without-redis: pin `redbeat_redis_url`.
        fires:
            broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, SpecPath, error, warning
from policycompiler.hazards.stored_schedules import stored_schedules
from policycompiler.knowledge.beat_schedulers import STORES, Store
from policycompiler.model import Schedule, Workload
from policycompiler.plan import APP, BEAT, Plan

NAME = "stored-schedules"

SCHEDULE_OPTION_DROPPED = warning("PC543", "schedule-option-dropped", Profile.MINIMAL)
SCHEDULE_FRACTION_DROPPED = error("PC544", "schedule-fraction-dropped")
SCHEDULE_ZONE_DROPPED = error("PC545", "schedule-zone-dropped")
SCHEDULE_SOLAR_REFUSED = error("PC546", "schedule-solar-refused")
SCHEDULE_NAME_TOO_LONG = error("PC547", "schedule-name-too-long")
REDBEAT_WITHOUT_REDIS = error("PC548", "redbeat-without-redis")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each schedule against the fields of the store."""
    for hazard in stored_schedules(plan):
        yield hazard.as_finding(_HAZARDS[hazard.name])
    store = STORES.get(str(plan.get(BEAT, "store")))
    if store is None:
        return
    scheduler = plan.text(BEAT, "scheduler")
    for name, schedule in sorted(spec.schedules.items()):
        path: SpecPath = ("schedules", name)
        if schedule.enabled is not False:
            yield from _dropped(plan, store, scheduler, schedule, path)
        longest = store.longest_name
        if longest is not None and len(schedule.task) > longest:
            message = (
                f"the task name has {len(schedule.task)} characters; {scheduler} stores at most {longest}"
            )
            help_text = "shorten the name of the task"
            yield SCHEDULE_NAME_TOO_LONG.at((*path, "task"), message, help=help_text)


_HAZARDS = {
    finding.name: finding
    for finding in (SCHEDULE_FRACTION_DROPPED, SCHEDULE_SOLAR_REFUSED, REDBEAT_WITHOUT_REDIS)
}


def _dropped(
    plan: Plan, store: Store, scheduler: str, schedule: Schedule, path: SpecPath
) -> Iterator[Diagnostic]:
    written = {} if schedule.options is None else schedule.options.model_dump(exclude_none=True)
    lost = set() if store.options is None else written.keys() - store.options - {"expires"}
    for option in sorted(lost):
        message = f"{scheduler} cannot store the option `{option}` and silently drops it"
        kept = ", ".join(sorted({*(store.options or ()), "expires"}))
        help_text = f"remove it, or declare it for the task; a schedule may have {kept}"
        yield SCHEDULE_OPTION_DROPPED.at((*path, "options", option), message, help=help_text)
    zone, app_zone = schedule.timezone, plan.value(APP, "timezone")
    if not store.zones and schedule.cron is not None and zone not in (None, app_zone):
        message = f"{scheduler} drops the time zone {zone} of the crontab and uses {app_zone}, the app's zone"
        help_text = f"write the crontab in {app_zone}, or pin `timezone` in `celery.settings`"
        yield SCHEDULE_ZONE_DROPPED.at((*path, "timezone"), message, help=help_text)
