"""What is pinned for the whole app holds for every worker and task that says nothing of its own.

Decides:
    `worker:NAME/pool`, `concurrency`, `prefetch_multiplier`, `max_tasks_per_child`,
    `max_memory_per_child` and `disable_prefetch`, where `celery.settings` pins them;
    `task:NAME/options.time_limit` and `options.soft_time_limit`, where it pins them and no run time is
    declared; `options.ignore_result` and `options.store_errors_even_if_ignored`, where it pins them and
    nothing is declared about the result.

Because:
    A flag on the command line beats a setting, and an option of a task both. A default of ours in their
    place would make the pinned setting a dead letter.

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
    """Hand them down."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if not plan.value(scope, "external"):
            yield from _of_task(plan, scope, task)
    for scope in plan.scopes("worker"):
        for setting, (key, kind) in _SETTINGS.items():
            value = plan.get(APP, setting)
            free = plan.find(scope, key) is None and not (
                key == "concurrency" and plan.find(scope, "autoscale")
            )
            if free and isinstance(value, kind) and value is not None:
                yield Decision(scope, key, value, "pinned for all workers", (Derived(APP, setting),))


def _of_task(plan: Plan, scope: Scope, task: TaskFields) -> Iterator[Decision]:
    for key in ("time_limit", "soft_time_limit") if task.runtime is None else ():
        pin = plan.find(APP, f"task_{key}")
        if pin is None or plan.find(scope, f"options.{key}") is not None or not _is_limit(pin.value):
            # What is no number of seconds is for the policy that objects to it.
            continue
        hard = plan.number_if_any(scope, "options.time_limit")
        soft = pin.value if key == "soft_time_limit" else None
        if isinstance(soft, int | float) and hard is not None and hard < soft:
            # It would never come first.
            continue
        origins = (Derived(APP, pin.key),)
        yield Decision(scope, f"options.{key}", pin.value, "pinned for all tasks", origins)
    declared = task.result is not None or "chord" in (task.canvas or ())
    for key in ("ignore_result", "store_errors_even_if_ignored") if not declared else ():
        pin = plan.find(APP, f"task_{key}")
        if pin is not None and plan.find(scope, f"options.{key}") is None:
            origins = (Derived(APP, pin.key),)
            yield Decision(scope, f"options.{key}", pin.value, "pinned for all tasks", origins)


def _is_limit(value: object) -> bool:
    """Seconds, or null for none."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)
