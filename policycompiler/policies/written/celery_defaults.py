"""Celery's own defaults, where the policy file or a task leaves a value to Celery.

Decides:
    Where the policy file has `extends: as-is`: `app/policies`; each setting of the app, option of a worker
    and declaration of a queue that another policy would decide and the workload does not set. There, and in a
    task with `policies: as-is`: `task:NAME/policies`, and such options of the task, namely
    `options.acks_late`, `options.ignore_result`, `options.store_errors_even_if_ignored`,
    `options.soft_time_limit` and `options.time_limit`; with late acknowledgment `options.acks_on_failure`,
    `options.acks_on_timeout`, `options.reject_on_worker_lost` and `options.retry_on_worker_lost`; with
    retries `options.max_retries`, `options.default_retry_delay`, `options.retry_backoff_max` and
    `options.retry_jitter`.

Because:
    An existing deployment must compile to what it does today. So nothing is decided that the workload does
    not say. The plan still has the values, because findings and reviews need them, but no file sets them: a
    value in a generated file would beat a decorator, a base class or a setting that the workload does not
    show. `explain` names these values as Celery's defaults.

    A task leaves this mode with `policies: standard`, an app with another profile of the policy file. Errors
    are warnings where a value is left to Celery, because the work runs today.

    An entry of `queues:` stands for a queue in `task_queues`. Celery binds it to the default exchange, unless
    the entry names an exchange. Celery creates every other queue itself, with an exchange of the same name.

Example:
    tasks: {shop.mail.send: {policies: as-is, idempotent: true, runtime: 3s}}

    task:shop.mail.send/options.acks_late = false
    task:shop.mail.send/options.time_limit = null

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from policycompiler.knowledge.celery_defaults import (
    EXCHANGE_TYPE,
    OF_SETTINGS,
    QUEUE_TYPE,
    RETRIES,
    WORKER,
    has_setting,
    of_setting,
)
from policycompiler.model import Queue, Retry, TaskFields, Worker, Workload
from policycompiler.plan import (
    APP,
    AS_IS,
    Decision,
    Default,
    Derived,
    Origin,
    Parameter,
    Plan,
    Scope,
    Value,
    Written,
)

NAME = "celery-defaults"

_SETTINGS = (
    *("accept_content", "broker_connection_max_retries", "broker_connection_retry_on_startup"),
    *("broker_pool_limit", "enable_utc", "result_chord_expires", "result_serializer", "task_acks_late"),
    *("task_create_missing_queues", "task_default_exchange_type", "task_default_queue", "task_ignore_result"),
    *("task_reject_on_worker_lost", "task_send_sent_event", "task_serializer", "timezone"),
    *("worker_cancel_long_running_tasks_on_connection_loss", "worker_enable_remote_control"),
    "worker_send_task_events",
)
"""The settings that other policies decide."""
_OF_QUEUE = ("task_default_exchange", "task_default_routing_key")
"""Celery takes the name of the default queue for these."""
_OF_LATE = frozenset({"acks_on_failure", "acks_on_timeout", "reject_on_worker_lost", "retry_on_worker_lost"})
"""Options that matter only with late acknowledgment."""
TYPE = "x-queue-type"
_BECAUSE = "the workload does not set it, and this is Celery's default"
_CREATED = "Celery creates the queue itself"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Decide what is left to Celery: for the app, its queues and workers, and for tasks."""
    version = plan.text(APP, "celery_version")
    everywhere = spec.platform.extends == AS_IS
    if everywhere:
        origin = Parameter(("extends",), AS_IS)
        because = "the policy file leaves to Celery what the workload does not set"
        yield Decision(APP, "policies", AS_IS, because, (origin,))
        yield from _of_app(spec, plan, version)
        for name, worker in spec.workers.items():
            yield from _of_worker(plan, Scope("worker", name), worker, version)
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.policies == AS_IS or (everywhere and task.policies is None):
            origins: tuple[Origin, ...] = (Derived(APP, "policies"),)
            because = "the policy file leaves to Celery what the workload does not set"
            if task.policies is not None:
                origins = (Written(("tasks", name, "policies")),)
                because = "the task leaves to Celery what the workload does not set"
            yield Decision(scope, "policies", AS_IS, because, origins)
            yield from _of_task(plan, scope, task, version)


def _of_app(spec: Workload, plan: Plan, version: str) -> Iterator[Decision]:
    stores = spec.results is not None and spec.results.backend != "none"
    keep = ("result_expires",) if stores and spec.results and spec.results.keep is None else ()
    for key in (*_SETTINGS, *keep):
        if plan.find(APP, key) is None and has_setting(key, version):
            yield _left(APP, key, of_setting(key, version), key, version)
    queue = Derived(APP, "task_default_queue")
    for key in _OF_QUEUE:
        if plan.find(APP, key) is None:
            because = "the workload does not set it, and Celery takes the name of the default queue"
            value = plan.text(APP, queue.key)
            yield Decision(APP, key, value, because, (Default(key, version), queue))
    for name in _queues(spec, plan):
        if name not in spec.queues:
            yield from _created(plan, Scope("queue", name), version)
        else:
            yield from _declared(plan, Scope("queue", name), spec.queues[name], version)


def _queues(spec: Workload, plan: Plan) -> list[str]:
    """Every queue that the workload names, and the default queue."""
    names = {*spec.queues, plan.text(APP, "task_default_queue")}
    for task in spec.tasks.values():
        names.update(task.call_time_queues or ())
        names.update([task.queue] if task.queue is not None else [])
    for schedule in spec.schedules.values():
        if schedule.options is not None and schedule.options.queue is not None:
            names.add(schedule.options.queue)
    for worker in spec.workers.values():
        names.update(name for name in worker.queues or () if "*" not in name)
    return sorted(names)


def _created(plan: Plan, scope: Scope, version: str) -> Iterator[Decision]:
    """A queue that Celery creates: its exchange has its name, or is the app's for the default queue."""
    default = scope.name == plan.text(APP, "task_default_queue")
    kind = "task_default_exchange_type" if default else "task_create_missing_queue_exchange_type"
    for key, of_app in (("exchange", _OF_QUEUE[0]), ("routing_key", _OF_QUEUE[1])):
        value = plan.text(APP, of_app) if default else scope.name
        yield _left(scope, key, value, of_app if default else "Queue", version, _CREATED)
    yield _left(scope, "exchange_type", plan.get(APP, kind) or EXCHANGE_TYPE, kind, version, _CREATED)
    kind = "task_default_queue_type" if default else "task_create_missing_queue_type"
    yield _left(scope, "type", plan.get(APP, kind) or QUEUE_TYPE, kind, version, _CREATED)
    yield _left(scope, "consumer_arguments", {}, "Queue", version, _CREATED)


def _declared(plan: Plan, scope: Scope, queue: Queue, version: str) -> Iterator[Decision]:
    """A queue in `task_queues`: what its entry leaves out, Celery takes from the default exchange."""
    if queue.type is None and TYPE not in (queue.arguments or {}):
        yield _left(scope, "type", QUEUE_TYPE, "Queue", version)
    own = queue.broadcast or queue.exchange is not None or queue.exchange_type is not None
    because = "the workload names no exchange, and Celery binds the queue to the default exchange"
    if not own:
        for key in ("exchange", "exchange_type"):
            of_app = f"task_default_{key}"
            yield _left(scope, key, plan.value(APP, of_app), of_app, version, because)
    if queue.routing_key is None and not queue.broadcast:
        yield _left(
            scope,
            "routing_key",
            plan.value(APP, _OF_QUEUE[1]),
            _OF_QUEUE[1],
            version,
            "the workload names no key",
        )


def _of_worker(plan: Plan, scope: Scope, worker: Worker, version: str) -> Iterator[Decision]:
    for key, (setting, value) in WORKER.items():
        known = not setting or has_setting(setting, version)
        said = key.startswith("node_name") and worker.node_name is not None
        if plan.find(scope, key) is None and known and not said:
            yield _of_setting(plan, scope, key, setting or key, value, version)

    slots = plan.get(APP, "worker_concurrency")
    free = all(plan.find(scope, key) is None for key in ("concurrency", "autoscale", "concurrency_source"))
    if free and isinstance(slots, int):
        yield _of_setting(plan, scope, "concurrency", "worker_concurrency", slots, version)


def _of_task(plan: Plan, scope: Scope, task: TaskFields, version: str) -> Iterator[Decision]:
    late = plan.get(scope, "options.acks_late", plan.get(APP, "task_acks_late")) is True
    for option, (setting, value) in OF_SETTINGS.items():
        said = option == "ignore_result" and task.result is not None
        used = late or option not in _OF_LATE
        free = plan.find(scope, f"options.{option}") is None and has_setting(setting, version)
        if free and used and not said:
            yield _of_setting(plan, scope, f"options.{option}", setting, value, version)
    for option in _retries(plan, scope, task.retry or Retry()):
        if plan.find(scope, f"options.{option}") is None:
            yield _left(scope, f"options.{option}", RETRIES[option], f"Task.{option}", version)


def _retries(plan: Plan, scope: Scope, retry: Retry) -> Iterator[str]:
    """The options that decide how the retries of a task continue, if the workload does not say them."""
    automatic = bool(retry.on or plan.get(scope, "options.autoretry_for"))
    if retry.max is None and automatic:
        yield "max_retries"
    if automatic or (retry.max and retry.delay is None):
        yield "default_retry_delay"
    if automatic and (retry.delay is not None or plan.get(scope, "options.retry_backoff")):
        yield from ["retry_backoff_max"] if retry.max_delay is None else []
        yield from ["retry_jitter"] if retry.jitter is None else []


def _of_setting(plan: Plan, scope: Scope, key: str, setting: str, value: Value, version: str) -> Decision:
    """A value that Celery takes from a setting of the app."""
    pinned = plan.find(APP, setting)
    if pinned is None or pinned.is_left_to_celery:
        return _left(scope, key, value, setting, version)
    because = f"the workload does not set it here, and Celery takes `{setting}`"
    return Decision(scope, key, pinned.value, because, (Default(setting, version), Derived(APP, setting)))


def _left(scope: Scope, key: str, value: Value, name: str, version: str, because: str = _BECAUSE) -> Decision:
    return Decision(scope, key, value, because, _origins(name, version))


@cache
def _origins(name: str, version: str) -> tuple[Origin, ...]:
    """Thousands of tasks share the same defaults."""
    return (Default(name, version),)
