"""The settings of the plan of today that code shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from policycompiler.knowledge.brokers import BROKERS
from policycompiler.plan import APP, BEAT, Scope, Setting
from policycompiler.reality.code import Code
from policycompiler.reality.observed import observed

CODE = "code"
_IN_A_QUEUE = ("exchange", "exchange_type", "routing_key")
_RESULT_KINDS = {
    "cache": "memcached",
    "disabled": "none",
    "memcached": "memcached",
    "mongodb": "mongodb",
    "redis": "redis",
    "rediss": "redis",
    "rpc": "rpc",
    "s3": "s3",
    "sentinel": "redis",
}
"""The kind of a result backend by the start of its address; `db+…` is a database."""

_UNSET: Mapping[str, Any] = {"broker_url": {"scheme": "amqp", "variables": []}}
"""Where Celery connects if nobody says it: RabbitMQ on this host."""

_OF_ROWS = "django_celery_beat.schedulers:DatabaseScheduler"

_seen = partial(observed, source=CODE)


def settings(code: Code) -> Iterator[Setting]:
    """What the code of an app decides today, each value with its place."""
    facts = code.facts
    yield _seen(APP, "app", code.app, place=code.app)
    yield _seen(APP, "celery_version", _minor(facts["celery"]), place=code.app)
    yield from _addresses(code)
    in_code = frozenset(facts["in_code"])
    for key, value in facts["settings"].items():
        where = f"{code.app}: app.conf" if key in in_code else f"{code.app}: configuration"
        scope, name = (BEAT, "scheduler") if key == "beat_scheduler" else (APP, key)
        yield _seen(scope, name, value, place=where)
    for each in facts["routes"]:
        yield from _route(Scope("task", each["pattern"]), each["route"], f"{code.app}: task_routes")
    for name, task in facts["tasks"].items():
        yield from _task(Scope("task", name), task)
    if "task_queues" in facts["set"]:
        for queue in facts["queues"]:
            if queue["declared"]:
                yield from _queue(code, queue)
    for name, entry in facts["schedules"].items():
        yield from _schedule(Scope("schedule", name), entry, f"{code.app}: beat_schedule")
    yield from _rows(code)


def _rows(code: Code) -> Iterator[Setting]:
    """The schedules in the database, and the scheduler that reads them."""
    place = f"{code.app}: PeriodicTask row"
    for row in code.facts["rows"]:
        kind = "schedule" if row["enabled"] else "disabled_schedule"
        if row["name"] not in code.facts["schedules"] and not row["task"].startswith("celery."):
            yield from _schedule(Scope(kind, row["name"]), row, place)
    if code.facts["rows"]:
        yield _seen(BEAT, "scheduler", _OF_ROWS, place=place)


def transport_of(scheme: str) -> str | None:
    """The kind of broker of a URL by its scheme; None for one that the workload language does not know."""
    found = [name for name, record in BROKERS.items() if scheme in record.schemes or scheme == name]
    return found[0] if found else None


def result_kind_of(scheme: str) -> str | None:
    """The kind of a result backend by the start of its address; None for an unknown one."""
    if scheme.startswith("db+"):
        return "database"
    return _RESULT_KINDS.get(scheme.partition("+")[0])


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _addresses(code: Code) -> Iterator[Setting]:
    """Broker and result backend: their kinds, and the variables with their URLs."""
    addresses: Mapping[str, Any] = code.facts["addresses"]
    place = f"{code.app}: configuration"
    for key, kind_key, kind_of in (
        ("broker_url", "broker_transport", transport_of),
        ("result_backend", "result_backend_kind", result_kind_of),
    ):
        found = addresses.get(key) or _UNSET.get(key)
        if found is None:
            continue
        kind = kind_of(found["scheme"])
        if kind is not None:
            yield _seen(APP, kind_key, kind, place=place)
        if variable := _telling(found["variables"], key):
            yield _seen(APP, f"{key}_variable", variable, place=f"environment variable {variable}")


def _telling(variables: list[str], key: str) -> str | None:
    """Of several variables with the same URL, the one whose name says what it is for."""
    words = ("RESULT", "BACKEND") if key == "result_backend" else ("BROKER",)
    telling = [each for each in variables if any(word in each.upper() for word in words)]
    return min(telling or variables, default=None)


def _task(scope: Scope, task: Mapping[str, Any]) -> Iterator[Setting]:
    yield from _route(scope, task["destination"], task["place"])
    for option, given in task["options"].items():
        if option not in ("queue", "exchange", "routing_key"):
            place = f"{task['place']} ({given['from']})"
            yield _seen(scope, f"options.{option}", given["value"], place=place)


def _route(scope: Scope, sent: Mapping[str, Any], place: str) -> Iterator[Setting]:
    if sent.get("queue"):
        yield _seen(scope, "queue", sent["queue"], place=place)
    if sent.get("priority") is not None:
        yield _seen(scope, "options.priority", sent["priority"], place=place)


def _queue(code: Code, queue: Mapping[str, Any]) -> Iterator[Setting]:
    scope = Scope("queue", queue["name"])
    place = f"{code.app}: task_queues"
    yield _seen(scope, "broadcast", queue["broadcast"], place=place)
    if not queue["broadcast"]:
        for key in _IN_A_QUEUE:
            yield _seen(scope, key, queue[key], place=place)
    for name, value in queue["arguments"].items():
        yield _seen(scope, f"arguments.{name}", value, place=place)
    if queue["consumer_arguments"]:
        yield _seen(scope, "consumer_arguments", queue["consumer_arguments"], place=place)


def _schedule(scope: Scope, entry: Mapping[str, Any], place: str) -> Iterator[Setting]:
    for key in ("task", "cron", "every_seconds", "solar", "args", "kwargs", "options"):
        if entry.get(key) not in (None, {}, []):
            yield _seen(scope, key, entry[key], place=place)
    if "cron" in entry and entry.get("timezone"):
        yield _seen(scope, "timezone", entry["timezone"], place=place)
