"""The pins and declarations of the workload, which other policies may report but not override.

Decides:
    `app/service`, `app`, `owner`, `namespace`, `celery_version`, `broker_transport`, `broker_version`,
    `broker_url` or `broker_url_variable`, `result_backend_kind`, and `result_backend` or
    `result_backend_variable`; every entry of `celery.settings` and every task option, under its own name.
    With `deploy.image`: `app/image`.
    Where pinned: `task:NAME/queue`; `queue:NAME/exchange`, `exchange_type`, `routing_key`,
    `consumer_arguments`, `broadcast`, `external`; `worker:NAME/pool`, `concurrency` or `autoscale`,
    `replicas`, `scaling`, `memory_bytes`, `cores`, `stop_timeout_seconds`, `command_prefix`, `environment`,
    `prefetch_multiplier`, `max_tasks_per_child`, `max_memory_per_child`, `without_gossip`,
    `without_mingle`, `without_heartbeat`, `heartbeat_interval`, `optimization`, `disable_prefetch`,
    `log_level`, `time_limit`, `soft_time_limit`, `statedb`, `exclude_queues`, `app`,
    `concurrency_source`; `beat/app`.

Because:
    A user who knows better than the policies pins a value under Celery's own name and must be able to rely
    on it. A setting that cannot be read is left out, and the policy pinned-settings reports it.

Example:
    celery:
      settings: {worker_proc_alive_timeout: 20}
    tasks:
      shop.search.reindex: {options: {rate_limit: 10/m}}

    app/worker_proc_alive_timeout = 20
    task:shop.search.reindex/options.rate_limit = "10/m"

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge.celery_settings import NEWEST_CELERY, number_of
from policycompiler.model import Worker, Workload
from policycompiler.model.pins import may_be_pinned
from policycompiler.model.units import BY_THE_APP
from policycompiler.model.workload.workers import AUTO, Scaling, SlotsFrom
from policycompiler.plan import (
    APP,
    BEAT,
    Constant,
    Decision,
    Plan,
    Scope,
    Value,
    Written,
)
from policycompiler.policies.policy import deployed

NAME = "as-written"

CORES = "cores"
"""The source of slots where Celery counts the cores unasked."""
FIRST_CELERY_WITH_AUTO = (5, 7)
_PINNED = "the workload pins it"
_DECLARED = "the workload declares it"
_QUEUE_FIELDS = {
    field: field
    for field in ("broadcast", "external", "exchange", "exchange_type", "routing_key", "consumer_arguments")
}
_NULL_IS_NO_LIMIT = frozenset({"max_retries", "soft_time_limit", "time_limit"})
"""Options whose null is a value: it means that Celery applies no limit."""
_WORKER_FIELDS = {
    "pool": "pool",
    "memory": "memory_bytes",
    "cores": "cores",
    "stop_timeout": "stop_timeout_seconds",
    "command_prefix": "command_prefix",
    "environment": "environment",
    "app": "app",
}
_WORKER_OPTIONS = {
    "prefetch_multiplier": "prefetch_multiplier",
    "max_tasks_per_child": "max_tasks_per_child",
    "max_memory_per_child": "max_memory_per_child",
    "without_gossip": "without_gossip",
    "without_mingle": "without_mingle",
    "without_heartbeat": "without_heartbeat",
    "heartbeat_interval": "heartbeat_interval",
    "optimization": "optimization",
    "disable_prefetch": "disable_prefetch",
    "time_limit": "time_limit",
    "soft_time_limit": "soft_time_limit",
    "statedb": "statedb",
    "exclude_queues": "exclude_queues",
    "task_events": "task_events",
    "loglevel": "log_level",
}


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Yield the values of the workload, unchanged."""
    del plan
    yield from _identity(spec)
    yield from _image(spec)
    version = (spec.celery and spec.celery.version) or NEWEST_CELERY
    for key, value in ((spec.celery and spec.celery.settings) or {}).items():
        if may_be_pinned(key, value):
            yield _pin(APP, key, value, ("celery", "settings", key))
    yield from _tasks(spec)
    for name, queue in spec.queues.items():
        yield from _fields(Scope("queue", name), queue, _QUEUE_FIELDS, ("queues", name))
    if spec.beat is not None and spec.beat.app is not None:
        yield _pin(BEAT, "app", spec.beat.app, ("beat", "app"))
    for name, worker in spec.workers.items():
        yield from _worker(Scope("worker", name), worker, ("workers", name), version)


def _tasks(spec: Workload) -> Iterator[Decision]:
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.queue is not None:
            yield _pin(scope, "queue", task.queue, ("tasks", name, "queue"))
        if task.options is not None:
            written = {key: f"options.{key}" for key in sorted(task.options.model_fields_set)}
            yield from _fields(scope, task.options, written, ("tasks", name, "options"))
            for key in _NULL_IS_NO_LIMIT.intersection(written):
                if getattr(task.options, key) is None:
                    yield _pin(scope, f"options.{key}", None, ("tasks", name, "options", key))


def _image(spec: Workload) -> Iterator[Decision]:
    """The image of the workload, else that of the policy file."""
    image = deployed(spec, "image")
    if image is not None:
        yield Decision(APP, "image", image[0], "only the team knows its image", (image[1],))


def _worker(scope: Scope, worker: Worker, path: SpecPath, version: str) -> Iterator[Decision]:
    yield from _fields(scope, worker, _WORKER_FIELDS, path)
    if worker.options is not None:
        yield from _fields(scope, worker.options, _WORKER_OPTIONS, (*path, "options"))
    if isinstance(worker.replicas, Scaling):
        bounds, where = worker.replicas, (*path, "replicas")
        yield _pin(scope, "scaling", {"min": bounds.min, "max": bounds.max}, where)
        because = "the workload gives bounds, and without scaling as many processes run as at peak"
        yield Decision(scope, "replicas", bounds.max, because, (Written((*where, "max")),))
    elif worker.replicas is not None:
        yield _pin(scope, "replicas", worker.replicas, (*path, "replicas"))
    if worker.concurrency is not None:
        slots, where = worker.concurrency, (*path, "concurrency")
        if isinstance(slots, SlotsFrom):
            yield _slots_from(scope, slots.source, where, version)
        elif slots.min == slots.max:
            yield _pin(scope, "concurrency", slots.max, where)
        else:
            yield _pin(scope, "autoscale", {"min": slots.min, "max": slots.max}, where)


def _slots_from(scope: Scope, source: str, path: SpecPath, version: str) -> Decision:
    if source != AUTO or number_of(version) >= FIRST_CELERY_WITH_AUTO:
        return _pin(scope, "concurrency_source", source, path)
    because = f"Celery {version} has no word for it, and counts the cores without the option"
    return Decision(scope, "concurrency_source", CORES, because, (Written(path),))


def _identity(spec: Workload) -> Iterator[Decision]:
    yield _declared("service", spec.service, ("service",))
    yield _declared("app", spec.app, ("app",))
    if spec.owner is not None:
        yield _declared("owner", spec.owner, ("owner",))
    yield _declared("broker_transport", spec.broker.transport, ("broker", "transport"))
    yield from _address("broker_url", spec.broker.url, ("broker", "url"))
    if spec.broker.version is not None:
        yield _declared("broker_version", spec.broker.version, ("broker", "version"))
    if spec.results is not None and spec.results.backend != "none":
        yield _declared("result_backend_kind", spec.results.backend, ("results", "backend"))
        if spec.results.url is not None:
            yield from _address("result_backend", spec.results.url, ("results", "url"))
    celery = spec.celery
    if celery is not None and celery.namespace is not None:
        yield _declared("namespace", celery.namespace, ("celery", "namespace"))
    if celery is not None and celery.version is not None:
        yield _declared("celery_version", celery.version, ("celery", "version"))
    else:
        newest = (Constant("NEWEST_CELERY", NEWEST_CELERY),)
        because = "the workload declares no Celery version, and this is the newest known one"
        yield Decision(APP, "celery_version", NEWEST_CELERY, because, newest)


def _address(key: str, address: str, path: SpecPath) -> Iterator[Decision]:
    """A URL, or the environment variable that holds it, which is a setting of its own.

    Nothing, if the application sets the URL itself.
    """
    if address == BY_THE_APP:
        return
    if address.startswith("${"):
        yield _declared(f"{key}_variable", address[2:-1], path)
    else:
        yield _declared(key, address, path)


def _fields(scope: Scope, part: BaseModel, fields: dict[str, str], path: SpecPath) -> Iterator[Decision]:
    for field, key in fields.items():
        value = getattr(part, field)
        if value is not None:
            yield _pin(scope, key, value, (*path, field))


def _pin(scope: Scope, key: str, value: Value, path: SpecPath) -> Decision:
    return Decision(scope, key, value, _PINNED, (Written(path),))


def _declared(key: str, value: Value, path: SpecPath) -> Decision:
    return Decision(APP, key, value, _DECLARED, (Written(path),))
