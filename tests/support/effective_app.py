"""What an app does with its settings, as Celery itself shows it: a program for tests.

Usage: effective_app.py APP [adopted]. With `adopted` the settings come from `celeryconfig` instead of the
code, except the addresses, as a team does it that adopts what was compiled. Nothing connects: publishing is
intercepted. The program uses Celery alone, and nothing of the product.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.getcwd())  # noqa: PTH109

from celery.app.defaults import DEFAULTS
from celery.app.utils import find_app
from celery.backends.base import DisabledBackend
from kombu import Producer

ADDRESSES = ("broker_url", "result_backend")
APART = {"beat_schedule", "task_annotations", "task_queues", "task_routes"}
OPTIONS = (
    *("acks_late", "acks_on_failure", "acks_on_timeout", "autoretry_for", "compression"),
    *(
        "default_retry_delay",
        "delivery_mode",
        "dont_autoretry_for",
        "expires",
        "ignore_result",
        "max_retries",
    ),
    *(
        "priority",
        "rate_limit",
        "reject_on_worker_lost",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
    ),
    *("retry_on_worker_lost", "send_events", "serializer", "soft_time_limit", "throws", "time_limit"),
    *("store_errors_even_if_ignored", "track_started", "trail"),
)


def loaded(name: str, *, adopted: bool):
    app = find_app(name)
    if adopted:
        kept = {key: app._preconf[key] for key in ADDRESSES if key in app._preconf}
        app._preconf.clear()
        app._preconf.update(kept)
        app.namespace = None
        app.config_from_object("celeryconfig")
    app.loader.import_default_modules()
    app.finalize()
    return app


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def messages(app) -> dict:
    """Where each task goes by name, and what travels with it."""
    sent = {}

    def publish(*_, **options):
        headers = options["headers"]
        sent[headers["task"]] = {
            "exchange": str(getattr(options.get("exchange"), "name", options.get("exchange"))),
            "routing_key": options.get("routing_key"),
            "priority": options.get("priority"),
            "serializer": options.get("serializer"),
            "compression": options.get("compression"),
            "timelimit": headers["timelimit"],
            "expires": bool(headers["expires"]),
            "ignore_result": headers.get("ignore_result"),
        }

    Producer.publish = publish
    app.conf.broker_url = "memory://"
    app._local.backend = app._backend_cache = DisabledBackend(app=app)
    for name in sorted(app.tasks):
        if not name.startswith("celery."):
            app.send_task(name)
    return sent


def times(app, schedule) -> list:
    if hasattr(schedule, "_orig_minute"):
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        zone = getattr(schedule, "tz", None) or app.timezone
        return [*(str(getattr(schedule, f"_orig_{field}")) for field in fields), str(zone)]
    seconds = getattr(getattr(schedule, "run_every", schedule), "total_seconds", lambda: schedule)()
    return [float(seconds)]


def main() -> None:
    app = loaded(sys.argv[1], adopted=sys.argv[2:] == ["adopted"])
    queues = {
        name: [
            queue.exchange.name,
            queue.exchange.type,
            queue.routing_key,
            plain({**(queue.queue_arguments or {}), **({"x-max-priority": queue.max_priority} if queue.max_priority else {})}),
            queue.durable,
        ]
        for name, queue in app.amqp.queues.items()
    }  # fmt: skip
    tasks = {
        name: {option: plain(getattr(task, option, None)) for option in OPTIONS}
        for name, task in app.tasks.items()
        if not name.startswith("celery.")
    }
    schedules = {
        name: [
            entry["task"],
            times(app, entry["schedule"]),
            list(entry.get("args") or ()),
            dict(entry.get("kwargs") or {}),
            {key: getattr(value, "name", value) for key, value in (entry.get("options") or {}).items()},
        ]
        for name, entry in app.conf.beat_schedule.items()
    }
    settings = {key: plain(app.conf[key]) for key in DEFAULTS if key not in APART}
    found = {"settings": settings, "queues": queues, "tasks": tasks, "schedules": schedules}
    found["messages"] = messages(app)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
