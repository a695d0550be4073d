"""Worker settings that are pinned for the whole app hold for every worker that pins none of its own.

Decides:
    `worker:NAME/pool`, `concurrency`, `prefetch_multiplier`, `max_tasks_per_child`,
    `max_memory_per_child` and `disable_prefetch`, where `celery.settings` pins them.

Because:
    A flag on the command line beats a setting. A default of ours on every command line would make the
    pinned setting a dead letter.

Example:
    celery: {settings: {worker_prefetch_multiplier: 2}}
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/prefetch_multiplier = 2

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Plan

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
    del spec
    for scope in plan.scopes("worker"):
        for setting, (key, kind) in _SETTINGS.items():
            value = plan.get(APP, setting)
            free = plan.find(scope, key) is None and not (
                key == "concurrency" and plan.find(scope, "autoscale")
            )
            if free and isinstance(value, kind) and value is not None:
                yield Decision(scope, key, value, "pinned for all workers", (Derived(APP, setting),))
