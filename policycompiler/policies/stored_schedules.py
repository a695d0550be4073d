"""What a scheduler with a store of its own cannot carry.

Decides:
    Nothing.

Because:
    django-celery-beat keeps an entry in the columns of a row: what has no column is dropped in silence, a
    fraction of a second is cut off, and an interval of less than a second becomes 0, which is always due.
    RedBeat writes an entry as JSON: a crontab loses its own zone and is read in that of the app, and an entry
    that goes by the sun keeps beat from starting. RedBeat needs a Redis, also where the broker is none.

Example:
    tasks: {shop.a: {}}
    schedules: {s: {task: shop.a, every: 1h, options: {countdown: 60}}}
    beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}

    refuses schedule-option-dropped

Refuses:
    PC543 schedule-option-dropped: declare it with the task, or send from code.
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
    PC545 schedule-zone-dropped: use the zone of the app, or another scheduler.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Europe/Paris}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *"}}
            beat: {scheduler: "redbeat.RedBeatScheduler"}
    PC546 schedule-solar-refused: use a crontab, or another scheduler.
        when: a schedule goes by the sun, and RedBeat is the scheduler.
    PC547 schedule-name-too-long: shorten it.
        when: the name of a scheduled task has more characters than its row in the database.
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
    """Hold each schedule against what the store keeps of it."""
    found = str(plan.get(BEAT, "store"))
    if found not in STORES:
        return
    store, scheduler = STORES[found], plan.text(BEAT, "scheduler")
    broker = plan.value(APP, "broker_transport")
    if found == "redis" != broker and plan.find(APP, "redbeat_redis_url") is None:
        message = (
            f"{scheduler} looks for its Redis at the broker's URL, but the broker is {broker}: "
            "beat does not start"
        )
        help_text = "pin `redbeat_redis_url` in `celery.settings`"
        yield REDBEAT_WITHOUT_REDIS.at(("beat", "scheduler"), message, help=help_text)
    for name, schedule in sorted(spec.schedules.items()):
        path: SpecPath = ("schedules", name)
        if schedule.enabled is not False:
            yield from _dropped(store, scheduler, schedule, path)
            yield from _times(plan, store, scheduler, schedule, path)
        longest = store.longest_name
        if longest is not None and len(schedule.task) > longest:
            message = f"the name of the task has {len(schedule.task)} characters; {scheduler} keeps {longest}"
            yield SCHEDULE_NAME_TOO_LONG.at((*path, "task"), message, help="shorten it")


def _dropped(store: Store, scheduler: str, schedule: Schedule, path: SpecPath) -> Iterator[Diagnostic]:
    if store.options is None or schedule.options is None:
        return
    written = schedule.options.model_dump(exclude_none=True)
    for option in sorted(written.keys() - store.options - {"expires"}):
        message = f"{scheduler} has no place for the option `{option}` and drops it without a word"
        kept = ", ".join(sorted({*store.options, "expires"}))
        help_text = f"remove it, or declare it with the task; a schedule may have {kept}"
        yield SCHEDULE_OPTION_DROPPED.at((*path, "options", option), message, help=help_text)


def _times(
    plan: Plan, store: Store, scheduler: str, schedule: Schedule, path: SpecPath
) -> Iterator[Diagnostic]:
    if store.whole_seconds and schedule.every is not None and schedule.every % 1:
        kept = int(schedule.every)
        then = f"{kept} s" if kept else "0 s, which is always due: it sends without a pause"
        message = f"{scheduler} keeps whole seconds: an interval of {schedule.every:g} s becomes {then}"
        yield SCHEDULE_FRACTION_DROPPED.at((*path, "every"), message, help="write whole seconds")
    zone, app_zone = schedule.timezone, plan.value(APP, "timezone")
    if not store.zones and schedule.cron is not None and zone not in (None, app_zone):
        message = f"{scheduler} drops the zone {zone} of a crontab and reads it in that of the app"
        help_text = f"write the times of {app_zone}, or pin `timezone` in `celery.settings`"
        yield SCHEDULE_ZONE_DROPPED.at((*path, "timezone"), message, help=help_text)
    if not store.solar and schedule.solar is not None:
        message = f"{scheduler} cannot write down a schedule that goes by the sun: beat does not start"
        yield SCHEDULE_SOLAR_REFUSED.at((*path, "solar"), message, help="use a cron, or another scheduler")
