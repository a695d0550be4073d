"""What a scheduler with a store makes of a configuration: `python stored_beat.py SCHEDULER STORE`.

`celeryconfig` is imported from the current folder. STORE is a file for django-celery-beat, the URL of
a Redis for RedBeat. Prints as JSON what beat would send: the options, the schedule and its zone, by name.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from celery import Celery
from celery.schedules import crontab


def main(scheduler: str, store: str) -> None:
    """Start the scheduler as beat does, and look at its entries."""
    sys.path.insert(0, str(Path.cwd()))
    logging.basicConfig(stream=sys.stderr)
    app = Celery("reader")
    app.config_from_object("celeryconfig")
    if scheduler == "database":
        _set_up_django(store)
        from django_celery_beat.schedulers import DatabaseScheduler  # noqa: PLC0415

        entries = DatabaseScheduler(app=app).schedule
    else:
        app.conf.redbeat_redis_url = store
        from redbeat import RedBeatScheduler  # noqa: PLC0415

        # All entries, not only those that are due: what RedBeat has written down.
        beat = RedBeatScheduler(app=app)
        beat.setup_schedule()
        entries = _entries_of_redbeat(app)
    print(json.dumps({name: _told(entry) for name, entry in entries.items()}, default=str))  # noqa: T201


def _set_up_django(file: str) -> None:
    import django  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    settings.configure(
        INSTALLED_APPS=["django_celery_beat"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file}},
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    call_command("migrate", verbosity=0)


def _entries_of_redbeat(app: Celery) -> dict[str, object]:
    from redbeat.schedulers import RedBeatSchedulerEntry, get_redis  # noqa: PLC0415

    keys = get_redis(app).zrange(app.redbeat_conf.schedule_key, 0, -1)
    found = [RedBeatSchedulerEntry.from_key(key, app=app) for key in keys]
    return {entry.name: entry for entry in found}


def _told(entry) -> dict[str, object]:
    schedule = entry.schedule
    options = {key: value for key, value in entry.options.items() if key != "headers"}
    if isinstance(schedule, crontab):
        # The zone in which RedBeat or Django reads it is that of the schedule, not of this program.
        return {"options": options, "cron": str(schedule), "zone": str(schedule.tz)}
    return {"options": options, "seconds": schedule.run_every.total_seconds()}


if __name__ == "__main__":
    main(*sys.argv[1:])
