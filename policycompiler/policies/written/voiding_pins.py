"""Pins that disable limits or other parts of the plan.

Decides:
    Nothing.

Because:
    With `task_always_eager` a task runs in the publishing process, so queues, workers, time limits
    and retry delays have no effect. `worker_disable_rate_limits` turns off every rate limit. Celery reads
    a rate limit of 0 as no limit. `max_memory_per_child` counts KiB: a value in bytes is a limit a thousand
    times too high. No process reaches it before the machine runs out of memory
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#max-memory-per-child-setting).

Example:
    celery: {settings: {task_always_eager: true}}
    tasks: {shop.a: {}}

    refuses tasks-always-eager

Refuses:
    PC268 rate-limit-zero: remove the rate limit; to stop a task, stop its worker.
        fires: tasks: {shop.a: {options: {rate_limit: 0/m}}}
        silent: tasks: {shop.a: {options: {rate_limit: 1/m}}}
    PC269 tasks-always-eager: remove the pin, or set it in the settings of your tests.
        fires:
            celery: {settings: {task_always_eager: true}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {task_always_eager: false}}
            tasks: {shop.a: {}}
    PC270 rate-limits-disabled: remove the pin, or remove the rate limits.
        fires:
            celery: {settings: {worker_disable_rate_limits: true}}
            tasks: {shop.a: {options: {rate_limit: 10/m}}}
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
from policycompiler.quantities import size

NAME = "voiding-pins"

RATE_LIMIT_ZERO = warning("PC268", "rate-limit-zero")
TASKS_ALWAYS_EAGER = warning("PC269", "tasks-always-eager")
RATE_LIMITS_DISABLED = warning("PC270", "rate-limits-disabled")
MEMORY_PER_CHILD_UNREACHABLE = warning("PC271", "memory-per-child-unreachable")

LARGEST_CHILD_KIB = 256 * 1024 * 1024
"""256 GiB: if no memory is declared, a larger number is assumed to be in bytes."""
KIB = 2**10
DEFAULT_RATE = "task_default_rate_limit"


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the pins for all tasks, then the pins of tasks and workers."""
    del spec
    settings: SpecPath = ("celery", "settings")
    if plan.get(APP, "task_always_eager"):
        message = (
            "with `task_always_eager` every task runs in the publishing process: no message reaches a queue. "
            "Workers, time limits and retry delays have no effect"
        )
        help_text = "remove `task_always_eager`, and set it only in the settings of your tests"
        yield TASKS_ALWAYS_EAGER.at((*settings, "task_always_eager"), message, help=help_text)
    limits = {(*settings, DEFAULT_RATE): plan.get(APP, DEFAULT_RATE)}
    for task in plan.scopes("task"):
        path = plan.written(task, "options.rate_limit")
        if path is not None and not plan.value(task, "external"):
            limits[path] = plan.get(task, "options.rate_limit")
    for path, limit in limits.items():
        if _is_zero(limit):
            message = f"Celery reads the rate limit `{limit}` as no limit: runs of the task start at any rate"
            help_text = "remove the rate limit, and stop the worker if the task must not run"
            yield RATE_LIMIT_ZERO.at(path, message, help=help_text)
    kept = {path: limit for path, limit in limits.items() if limit is not None and not _is_zero(limit)}
    if kept and plan.get(APP, "worker_disable_rate_limits"):
        first, limit = next(iter(kept.items()))
        message = (
            "`worker_disable_rate_limits` turns off every rate limit, but the workload sets rate limits, for "
            f"instance {limit} ({len(kept)} in total)"
        )
        related = (Related(first, "a rate limit"),)
        help_text = "remove the pin, or remove the rate limits"
        path = (*settings, "worker_disable_rate_limits")
        yield RATE_LIMITS_DISABLED.at(path, message, help=help_text, related=related)
    yield from _memory(plan)


def _is_zero(limit: Value) -> bool:
    return limit == 0 or re.fullmatch(r"0+(\.0+)?(/[smh])?", str(limit)) is not None


def _memory(plan: Plan) -> Iterator[Diagnostic]:
    """Memory limits of child processes that no child process can reach."""
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
        beside = "" if budget is None else f", but worker {worker.name} has {size(int(budget))} of memory"
        message = (
            f"`max_memory_per_child` of {kib:.0f} KiB allows a child process {size(int(kib * KIB))}{beside}: "
            "no process reaches this limit"
        )
        help_text = "write a number of KiB below the memory of the worker"
        if kib < most:
            help_text = f"write KiB instead of bytes: {int(kib // KIB)} for {size(int(kib))}"
        yield MEMORY_PER_CHILD_UNREACHABLE.at(path, message, help=help_text)
