"""Settings as a small team has them."""

import os
from pathlib import Path

from celery.schedules import crontab

SECRET_KEY = "for the tests alone"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_celery_beat",
    "loans",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("LIBRARY_DATABASE", Path(__file__).parent.parent / "db.sqlite3"),
    }
}
USE_TZ = True
TIME_ZONE = "Europe/Paris"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
CELERY_RESULT_BACKEND = os.environ.get("CELERY_RESULT_BACKEND", "redis://127.0.0.1:6379/1")
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = 1800
CELERY_RESULT_EXPIRES = 7200
CELERY_WORKER_PREFETCH_MULTIPLIER = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7200, "global_keyprefix": "library:"}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "loans.tasks.remind_*": {"queue": "mail"},
    "loans.tasks.export_catalog": {"queue": "slow", "priority": 6},
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "overdue-reminders": {
        "task": "loans.tasks.remind_overdue",
        "schedule": crontab(hour=6, minute=30, day_of_week="mon-fri"),
        "options": {"expires": 3600},
    },
    "refresh-counts": {"task": "loans.tasks.refresh_counts", "schedule": 300.0, "args": (50,)},
}
# Misspelled: Celery ignores it in silence.
CELERY_TASK_SOFT_TIMELIMIT = 900
