"""When a pool process is replaced by a fresh one.

Decides:
    `worker:NAME/max_tasks_per_child`, and `worker:NAME/max_memory_per_child` in KiB where memory is
    declared. Only prefork has processes to recycle.

Because:
    Leaks in libraries are the rule over weeks. Celery looks at a child's memory after each task, so the
    bound must lie above what a healthy child needs, or every task pays for a new process.

Example:
    tasks: {shop.reports.yearly: {latency: batch, memory: 600MiB}}

    worker:shop.batch.io/max_tasks_per_child = 1000
    worker:shop.batch.io/max_memory_per_child = 998400

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Written

NAME = "recycling"

TASKS_PER_CHILD = 1000
"""Rare enough to cost nothing, often enough to end a slow leak."""
MEMORY_MARGIN = 1.25
"""A quarter above the declared peak is a leak, not a large task."""
CHILD_KIB = 225 * 1024
"""An idle child of a real application; a bare Celery child already has some 50 MB."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Recycle prefork children by count, and by memory where it is declared."""
    for scope in plan.scopes("worker"):
        if plan.value(scope, "pool") != "prefork":
            continue
        prefork = Derived(scope, "pool")
        if plan.find(scope, "max_tasks_per_child") is None:
            because = "rare enough to cost nothing, often enough to end a slow leak"
            origins: tuple[Origin, ...] = (Constant("TASKS_PER_CHILD", TASKS_PER_CHILD), prefork)
            yield Decision(scope, "max_tasks_per_child", TASKS_PER_CHILD, because, origins)
        declared = [
            (memory, name) for name in plan.texts(scope, "tasks") if (memory := spec.tasks[name].memory)
        ]
        if plan.find(scope, "max_memory_per_child") is None and declared:
            memory, task_name = max(declared)
            kib = math.ceil(memory / 1024 * MEMORY_MARGIN) + CHILD_KIB
            origins = (
                Written(("tasks", task_name, "memory")),
                Constant("MEMORY_MARGIN", MEMORY_MARGIN),
                Constant("CHILD_KIB", CHILD_KIB),
            )
            because = "the declared peak and a quarter, on top of an idle child"
            yield Decision(scope, "max_memory_per_child", kib, because, origins)
