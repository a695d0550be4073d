"""The plan of today as the sections of a workload: only what differs from Celery's own defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, TypeAlias

from policycompiler.knowledge.beat_schedulers import NO_STORE, PERSISTENT, STORES, Store, store_of
from policycompiler.knowledge.celery_settings import SECTIONS, is_setting
from policycompiler.plan import APP, BEAT, Plan, Scope, Value
from policycompiler.reality.today import place_of

Fields: TypeAlias = dict[str, Any]

CELERYS_QUEUE = "celery"
"""The default queue of an app that names none (celery.app.defaults)."""
_FACTS = frozenset(
    {
        *("app", "broker_transport", "broker_url_variable", "broker_version", "celery_version", "service"),
        *("result_backend_kind", "result_backend_variable"),
    }
)
_WORKER_FIELDS = {
    "app": "app",
    "queues": "queues",
    "pool": "pool",
    "concurrency": "concurrency",
    "autoscale": "concurrency",
    "replicas": "replicas",
    "node_name": "node_name",
    "command_prefix": "command_prefix",
}
_WORKER_OPTIONS = {
    **{key: key for key in ("prefetch_multiplier", "max_tasks_per_child", "max_memory_per_child")},
    **{key: key for key in ("without_gossip", "without_mingle", "without_heartbeat", "heartbeat_interval")},
    **{key: key for key in ("optimization", "disable_prefetch", "task_events", "beat")},
    **{key: key for key in ("time_limit", "soft_time_limit", "statedb")},
    "log_level": "loglevel",
}
_USUAL = {"exchange_type": "direct"}
_LEAST_SHARE = 0.5
"""A queue that more of the tasks share is the default of the file."""


def app_of(plan: Plan, service: str) -> Fields:
    """What all processes share: `version`, `service`, `app`, `celery`, `broker`, `results`, `beat`."""
    found: Fields = {"version": 1, "service": service, "app": str(plan.get(APP, "app"))}
    celery: Fields = {}
    if version := plan.get(APP, "celery_version"):
        celery["version"] = version
    if settings := dict(_settings(plan)):
        celery["settings"] = settings
    if celery:
        found["celery"] = celery
    found["broker"] = _broker(plan)
    if results := _results(plan):
        found["results"] = results
    if beat := _beat(plan):
        found["beat"] = beat
    return found


def _settings(plan: Plan) -> Iterator[tuple[str, Value]]:
    for key, setting in sorted(plan.keys(APP).items()):
        if key not in _FACTS and key not in SECTIONS and is_setting(key):
            yield key, setting.value


def _address(plan: Plan, key: str) -> str:
    variable = plan.get(APP, f"{key}_variable")
    return f"${{{variable}}}" if variable else "app"


def _broker(plan: Plan) -> Fields:
    found: Fields = {"transport": plan.get(APP, "broker_transport"), "url": _address(plan, "broker_url")}
    if version := plan.get(APP, "broker_version"):
        found["version"] = version
    given = plan.get(APP, "broker_transport_options")
    options = dict(given) if isinstance(given, dict) else {}
    if (timeout := options.pop("visibility_timeout", None)) is not None:
        found["visibility_timeout"] = timeout
    if options:
        found["options"] = options
    return found


def _results(plan: Plan) -> Fields:
    kind = plan.get(APP, "result_backend_kind")
    if kind is None:
        return {}
    return {"backend": kind} if kind == "none" else {"backend": kind, "url": _address(plan, "result_backend")}


def _beat(plan: Plan) -> Fields:
    return {key: value for key in ("scheduler", "app") if (value := plan.get(BEAT, key)) is not None}


def default_queue(plan: Plan) -> str:
    """The queue of a task without a route."""
    return str(plan.get(APP, "task_default_queue") or CELERYS_QUEUE)


def task_defaults(plan: Plan) -> Fields:
    """The `defaults` block: the queue that most tasks share, if that is not the default queue."""
    queues = Counter(plan.get(scope, "queue") for scope in plan.scopes("task"))
    if not queues:
        return {}
    queue, number = max(queues.items(), key=lambda item: (item[1], str(item[0])))
    shared = queue is not None and number > _LEAST_SHARE * queues.total()
    return {"queue": queue} if shared and queue != default_queue(plan) else {}


def tasks(plan: Plan) -> Iterator[tuple[Scope, Fields]]:
    """Each task with its queue, its options and its measured facts, where they are not the default."""
    usual = task_defaults(plan).get("queue", default_queue(plan))
    for scope in plan.scopes("task"):
        fields: Fields = dict(_measured(plan, scope))
        queue = plan.get(scope, "queue")
        if queue not in (None, usual):
            fields["queue"] = queue
        if options := plan.below(scope, "options."):
            fields["options"] = dict(options)
        yield scope, fields


def _measured(plan: Plan, scope: Scope) -> Iterator[tuple[str, Any]]:
    p50, p99 = (plan.number_if_any(scope, f"runtime_{key}_seconds") for key in ("p50", "p99"))
    if p99 is not None:
        yield "runtime", {"p50": _seconds(p50), "p99": _seconds(p99)} if p50 else _seconds(p99)
    mean, peak = (plan.number_if_any(scope, f"rate_{key}_per_second") for key in ("mean", "peak"))
    if mean:
        yield "rate", {"mean": _rate(mean), "peak": _rate(peak)} if peak else _rate(mean)


def _seconds(value: float | None) -> str:
    """A duration as the workload language has it, rounded up."""
    assert value is not None
    return f"{ceil(value * 1000)}ms" if value < 1 else f"{ceil(value * 10) / 10:g}s"


def _rate(per_second: float) -> str:
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3600)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.3g}/{unit}"
    return f"{max(per_second * 86400, 0.01):.2f}/d"


def queues(plan: Plan) -> Iterator[tuple[Scope, Fields]]:
    """Each declared queue with its exchange and key in full: the default of Celery is another one."""
    for scope in plan.scopes("queue"):
        fields: Fields = {}
        if plan.get(scope, "broadcast"):
            fields["broadcast"] = True
        for key in ("exchange", "exchange_type", "routing_key"):
            if (value := plan.get(scope, key)) is not None and value != _USUAL.get(key):
                fields[key] = value
        arguments = plan.below(scope, "arguments.")
        if arguments.get("x-queue-type") in ("classic", "quorum"):
            fields["type"] = arguments.pop("x-queue-type")
        if arguments:
            fields["arguments"] = dict(arguments)
        if of_consumers := plan.get(scope, "consumer_arguments"):
            fields["consumer_arguments"] = of_consumers
        yield scope, fields


def workers(plan: Plan) -> Iterator[tuple[Scope, Fields]]:
    """Each worker as it is started."""
    main = plan.get(APP, "app")
    for scope in plan.scopes("worker"):
        fields: Fields = {}
        for key, field in _WORKER_FIELDS.items():
            value = plan.get(scope, key)
            if value is not None and not (key == "app" and value == main):
                fields[field] = value
        if (seconds := plan.number_if_any(scope, "stop_timeout_seconds")) is not None:
            fields["stop_timeout"] = f"{seconds:g}s"
        options = {
            option: value
            for key, option in _WORKER_OPTIONS.items()
            if (value := plan.get(scope, key)) is not None
        }
        if options:
            fields["options"] = options
        yield scope, fields


def schedules(plan: Plan) -> Iterator[tuple[Scope, Fields]]:
    """Each schedule with its times, arguments and options."""
    for kind in ("schedule", "disabled_schedule"):
        for scope in plan.scopes(kind):
            # The times of some schedules have no form in a workload; the look names those.
            if not any(plan.find(scope, key) for key in ("cron", "every_seconds", "solar")):
                continue
            yield scope, _schedule(plan, scope, enabled=kind == "schedule")


def _schedule(plan: Plan, scope: Scope, *, enabled: bool) -> Fields:
    fields: Fields = {"task": plan.get(scope, "task")}
    cron, every = plan.get(scope, "cron"), plan.number_if_any(scope, "every_seconds")
    if isinstance(cron, dict):
        order = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        fields["cron"] = " ".join(str(cron[field]) for field in order)
        if (zone := plan.get(scope, "timezone")) not in (None, "UTC"):
            fields["timezone"] = zone
    if every is not None:
        fields["every"] = f"{every:g}s"
    for key in ("solar", "args", "kwargs"):
        if (value := plan.get(scope, key)) is not None:
            fields[key] = value
    if options := _kept(plan, scope):
        fields["options"] = options
    return fields if enabled else {**fields, "enabled": False}


def _store(plan: Plan) -> Store:
    """How the scheduler of today treats the entries of `beat_schedule`."""
    name = store_of(str(plan.get(BEAT, "scheduler") or PERSISTENT))
    return NO_STORE if name is None else STORES[name]


def _options(plan: Plan, scope: Scope) -> Fields:
    given = plan.get(scope, "options")
    return dict(given) if isinstance(given, dict) else {}


def _kept(plan: Plan, scope: Scope) -> Fields:
    """The options that reach the message today, by the names of the workload."""
    store = _store(plan)
    kept = {key: value for key, value in _options(plan, scope).items() if _is_kept(store, key)}
    if store.expiry_option in kept:
        kept["expires"] = kept.pop(store.expiry_option)
    return kept


def _is_kept(store: Store, option: str) -> bool:
    return option == store.expiry_option or store.options is None or option in store.options


def dropped_options(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The options that the scheduler drops today: the place, the option, and why it is left out."""
    store, scheduler = _store(plan), plan.get(BEAT, "scheduler")
    for scope in plan.scopes("schedule"):
        for option in _options(plan, scope):
            if not _is_kept(store, option):
                place = place_of(plan.setting(scope, "options"))
                yield place, f"option `{option}` of schedule {scope.name}", f"{scheduler} ignores it today"


def entries(plan: Plan) -> Mapping[str, list[tuple[Scope, Fields]]]:
    """The sections with one entry for each scope, by name."""
    return {
        "tasks": list(tasks(plan)),
        "queues": list(queues(plan)),
        "workers": list(workers(plan)),
        "schedules": list(schedules(plan)),
    }
