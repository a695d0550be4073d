"""Pins that take away what the rest of the plan promises.

Decides:
    Nothing.

Because:
    With `task_always_eager` a task runs in the process that sends it: no queue, no worker, no limit and
    no retry of this plan has a part in it. `worker_disable_rate_limits` turns off every rate limit, and a
    rate of 0 is no limit to Celery. `max_memory_per_child` counts KiB: bytes written there are a bound a
    thousand times too high, which no process reaches before the machine has no memory left
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#max-memory-per-child-setting).

Example:
    celery: {settings: {task_always_eager: true}}
    tasks: {shop.a: {}}

    refuses tasks-always-eager

Refuses:
    PC268 rate-limit-zero: remove it; to stop a task, stop its worker.
        fires: tasks: {shop.a: {options: {rate_limit: 0/m}}}
        silent: tasks: {shop.a: {options: {rate_limit: 1/m}}}
    PC269 tasks-always-eager: remove it, or set it in the tests' own settings.
        fires:
            celery: {settings: {task_always_eager: true}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {task_always_eager: false}}
            tasks: {shop.a: {}}
    PC270 rate-limits-disabled: remove it, or remove the rate limits.
        fires:
            celery: {settings: {worker_disable_rate_limits: true}}
            tasks: {shop.a: {options: {rate_limit: 10/s}}}
        silent:
            celery: {settings: {worker_disable_rate_limits: true}}
            tasks: {shop.a: {}}
    PC271 memory-per-child-unreachable: write KiB, less than the memory of the worker.
        fires:
            queues: {q: {}}
            workers: {q: {memory: 2GiB, options: {max_memory_per_child: 536870912}}}
        silent:
            queues: {q: {}}
            workers: {q: {memory: 2GiB, options: {max_memory_per_child: 524288}}}

Parameters:
    None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Value

NAME = "voiding-pins"

RATE_LIMIT_ZERO = warning("PC268", "rate-limit-zero")
TASKS_ALWAYS_EAGER = warning("PC269", "tasks-always-eager")
RATE_LIMITS_DISABLED = warning("PC270", "rate-limits-disabled")
MEMORY_PER_CHILD_UNREACHABLE = warning("PC271", "memory-per-child-unreachable")

LARGEST_CHILD_KIB = 256 * 1024 * 1024
"""256 GiB: where no memory is declared, more than that is a number of bytes."""
KIB, MIB, GIB = 2**10, 2**20, 2**30
DEFAULT_RATE = "task_default_rate_limit"


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at pins for all tasks, then at those of tasks and workers."""
    del spec
    settings: SpecPath = ("celery", "settings")
    if plan.get(APP, "task_always_eager"):
        message = (
            "every task runs in the process that sends it: nothing reaches a queue, and workers, limits and "
            "retries of this plan have no part in it"
        )
        help_text = "remove it; set it in the settings of tests that need it"
        yield TASKS_ALWAYS_EAGER.at((*settings, "task_always_eager"), message, help=help_text)
    limits = {(*settings, DEFAULT_RATE): plan.get(APP, DEFAULT_RATE)}
    for task in plan.scopes("task"):
        path = plan.written(task, "options.rate_limit")
        if path is not None and not plan.value(task, "external"):
            limits[path] = plan.get(task, "options.rate_limit")
    for path, limit in limits.items():
        if _is_zero(limit):
            message = f"`{limit}` is no limit to Celery: the task starts as often as it can"
            yield RATE_LIMIT_ZERO.at(path, message, help="remove it; to stop a task, stop its worker")
    kept = {path: limit for path, limit in limits.items() if limit is not None and not _is_zero(limit)}
    if kept and plan.get(APP, "worker_disable_rate_limits"):
        first, limit = next(iter(kept.items()))
        message = f"it turns off every rate limit, and the workload sets {len(kept)}, for instance {limit}"
        related = (Related(first, "this rate limit"),)
        help_text = "remove it, or remove the rate limits"
        path = (*settings, "worker_disable_rate_limits")
        yield RATE_LIMITS_DISABLED.at(path, message, help=help_text, related=related)
    yield from _memory(plan)


def _is_zero(limit: Value) -> bool:
    return limit == 0 or re.fullmatch(r"0+(\.0+)?(/[smh])?", str(limit)) is not None


def _memory(plan: Plan) -> Iterator[Diagnostic]:
    """Bounds of a child's memory that no child can reach."""
    told: set[SpecPath] = set()
    for worker in plan.scopes("worker"):
        kib, path = (
            plan.number_if_any(worker, "max_memory_per_child"),
            plan.written(worker, "max_memory_per_child"),
        )
        budget = plan.number_if_any(worker, "memory_bytes")
        most = LARGEST_CHILD_KIB * KIB if budget is None else budget
        if kib is None or path is None or path in told or kib * KIB <= most:
            continue
        told.add(path)
        beside = "" if budget is None else f", and worker {worker.name} has {_size(budget)} of memory"
        message = f"{kib:g} KiB are {_size(kib * KIB)} for one process{beside}: no process reaches that"
        help_text = "write less than the memory of the worker, in KiB"
        if kib < most:
            help_text = f"it counts KiB: write {int(kib // KIB)} for {_size(kib)}"
        yield MEMORY_PER_CHILD_UNREACHABLE.at(path, message, help=help_text)


def _size(size: float) -> str:
    return f"{size / GIB:.3g} GiB" if size >= GIB else f"{size / MIB:.3g} MiB"
