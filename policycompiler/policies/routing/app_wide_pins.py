"""Pins for the whole app, which apply to every worker and task without its own value.

Decides:
    `worker:NAME/pool`, `concurrency`, `prefetch_multiplier`, `max_tasks_per_child`,
    `max_memory_per_child` and `disable_prefetch`, where `celery.settings` pins them;
    `task:NAME/options.time_limit` and `options.soft_time_limit`, where it pins them and no run time is
    declared; `options.ignore_result` and `options.store_errors_even_if_ignored`, where it pins them and
    nothing is declared about the result.

Because:
    A command-line flag takes precedence over a setting, and a task option over both. A default flag or
    option from the compiler would override the pinned setting.

Example:
    celery: {settings: {worker_prefetch_multiplier: 2, task_time_limit: 900}}
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/prefetch_multiplier = 2
    task:shop.mail.send/options.time_limit = 900

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import TaskFields, Workload
from policycompiler.plan import APP, Decision, Derived, Plan, Scope

NAME = "app-wide-pins"

_SETTINGS = {
    "worker_pool": ("pool", str),
    "worker_concurrency": ("concurrency", int),
    "worker_prefetch_multiplier": ("prefetch_multiplier", int),
    "worker_max_tasks_per_child": ("max_tasks_per_child", int),
    "worker_max_memory_per_child": ("max_memory_per_child", int),
    "worker_disable_prefetch": ("disable_prefetch", bool),
}


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Apply the pins of the app to workers and tasks."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if not plan.value(scope, "external"):
            yield from _of_task(plan, scope, task)
    for scope in plan.scopes("worker"):
        for setting, (key, kind) in _SETTINGS.items():
            value = plan.get(APP, setting)
            free = plan.find(scope, key) is None and not (
                key == "concurrency"
                and (plan.find(scope, "autoscale") or plan.find(scope, "concurrency_source"))
            )
            if free and isinstance(value, kind) and value is not None:
                because = f"`{setting}` is pinned for all workers"
                yield Decision(scope, key, value, because, (Derived(APP, setting),))


def _of_task(plan: Plan, scope: Scope, task: TaskFields) -> Iterator[Decision]:
    for key in ("time_limit", "soft_time_limit") if task.runtime is None else ():
        pin = plan.find(APP, f"task_{key}")
        if pin is None or plan.find(scope, f"options.{key}") is not None or not _is_limit(pin.value):
            # Another policy reports a limit that is not a number of seconds.
            continue
        hard = plan.number_if_any(scope, "options.time_limit")
        soft = pin.value if key == "soft_time_limit" else None
        if isinstance(soft, int | float) and hard is not None and hard < soft:
            # The hard limit would come before the soft limit.
            continue
        origins = (Derived(APP, pin.key),)
        because = f"`{pin.key}` is pinned for all tasks"
        yield Decision(scope, f"options.{key}", pin.value, because, origins)
    declared = task.result is not None or "chord" in (task.canvas or ())
    for key in ("ignore_result", "store_errors_even_if_ignored") if not declared else ():
        pin = plan.find(APP, f"task_{key}")
        if pin and not pin.is_left_to_celery and plan.find(scope, f"options.{key}") is None:
            origins = (Derived(APP, pin.key),)
            because = f"`{pin.key}` is pinned for all tasks"
            yield Decision(scope, f"options.{key}", pin.value, because, origins)


def _is_limit(value: object) -> bool:
    """Seconds, or null for none."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)
