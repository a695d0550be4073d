"""When a child process is replaced by a new one.

Decides:
    `worker:NAME/max_tasks_per_child`, and `worker:NAME/max_memory_per_child` in KiB if memory is
    declared. Only the prefork pool has child processes to replace.

Because:
    Over weeks, most libraries leak memory. Celery checks a child's memory after each run. The limit must be
    above the memory of a healthy child, or Celery starts a new process for every run. The limit is in KiB.
    Pools other than prefork silently ignore both settings
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#max-memory-per-child-setting).

Example:
    tasks: {shop.reports.yearly: {latency: batch, memory: 600MiB}}

    worker:shop.batch.io/max_tasks_per_child = 1000
    worker:shop.batch.io/max_memory_per_child = 998400

Refuses:
    PC321 pool-recycle-inert: remove the option, or use prefork.
        fires:
            queues: {q: {}}
            workers: {q: {pool: threads, options: {max_tasks_per_child: 100}}}
        silent:
            queues: {q: {}}
            workers: {q: {pool: prefork, options: {max_tasks_per_child: 100}}}
    PC335 memory-per-child-low: raise the limit above an idle child plus its largest task, or remove it.
        fires:
            queues: {q: {}}
            workers: {q: {options: {max_memory_per_child: 50000}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {max_memory_per_child: 200000}}}

Parameters:
    `tasks_per_child`: the number of runs after which a child process is replaced; 1000.
    `memory_margin`: a child process may use the declared peak memory times this factor; 1.25.
    `idle_child_kib`: the memory of an idle child process with the application loaded, in KiB; 230400.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, warning
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.policy import parameter
from policycompiler.quantities import size

NAME = "recycling"

POOL_RECYCLE_INERT = warning("PC321", "pool-recycle-inert")
MEMORY_PER_CHILD_LOW = warning("PC335", "memory-per-child-low")

LEAST_KIB = 150000
"""A child of a tiny app takes about 50 MB; with a real application loaded, two or three times that."""
MEMORY = "memory_bytes"
BOUNDS = ("max_tasks_per_child", "max_memory_per_child")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    tasks_per_child: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        1000, description="number of runs after which a child process is replaced, which ends a slow leak"
    )
    memory_margin: Annotated[float, Field(ge=1, le=10)] = Field(
        1.25, description="factor on the declared peak memory; a child process above it leaks memory"
    )
    idle_child_kib: Annotated[int, Field(ge=0, le=104_857_600)] = Field(
        230_400, description="memory in KiB of an idle child with the application loaded; at least 50 MB"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Recycle prefork children by count, and by memory where it is declared."""
    del spec
    yield from _inert(plan)
    told: set[SpecPath] = set()
    for scope in plan.scopes("worker"):
        if not pools.pool(plan.text(scope, "pool")).recycles:
            continue
        if plan.find(scope, "max_tasks_per_child") is None:
            because = "a new child process ends slow memory leaks and is rare enough to cost little"
            runs = tuned.tasks_per_child
            origins: tuple[Origin, ...] = (parameter(NAME, "tasks_per_child", runs), Derived(scope, "pool"))
            yield Decision(scope, "max_tasks_per_child", runs, because, origins)
        tasks = plan.texts(scope, "tasks")
        declared = [
            (memory, name) for name in tasks if (memory := plan.number_if_any(Scope("task", name), MEMORY))
        ]
        memory, task_name = max(declared, default=(0, ""))
        if plan.find(scope, "max_memory_per_child") is not None:
            yield from _low(plan, scope, memory, task_name, told)
        elif declared:
            kib = math.ceil(memory / 1024 * tuned.memory_margin) + tuned.idle_child_kib
            origins = (
                Derived(Scope("task", task_name), MEMORY),
                parameter(NAME, "memory_margin", tuned.memory_margin),
                parameter(NAME, "idle_child_kib", tuned.idle_child_kib),
            )
            because = "an idle child plus the declared peak memory and a quarter bounds a healthy child"
            if tuned.memory_margin != Parameters().memory_margin:
                because = (
                    f"an idle child plus the declared peak memory times {tuned.memory_margin:g} "
                    "bounds a healthy child"
                )
            yield Decision(scope, "max_memory_per_child", kib, because, origins)


def _inert(plan: Plan) -> Iterator[Diagnostic]:
    """Limits that are pinned for pools that replace no process."""
    kinds = {scope: plan.text(scope, "pool") for scope in plan.scopes("worker")}
    # A pool class of the user may have processes to replace.
    fixed = {kind for kind, pool in pools.POOLS.items() if not pool.recycles}
    nowhere = all(pool in fixed for pool in kinds.values())
    told: set[SpecPath] = set()
    for scope, pool in kinds.items():
        for key in BOUNDS:
            path = plan.written(scope, key)
            # A setting for all workers has an effect if one of them has child processes.
            if pool in fixed and path and path not in told and (nowhere or path[0] == "workers"):
                told.add(path)
                message = (
                    f"the {pool} pool of worker {scope.name} has no child processes to replace, "
                    f"so Celery ignores `{key}`"
                )
                help_text = f"remove `{key}`, or use `pool: prefork`"
                yield POOL_RECYCLE_INERT.at(path, message, help=help_text, fix=(Remove(path),))


def _low(plan: Plan, scope: Scope, memory: float, task: str, told: set[SpecPath]) -> Iterator[Diagnostic]:
    pinned = plan.number_if_any(scope, "max_memory_per_child")
    path = plan.written(scope, "max_memory_per_child")
    if pinned is None or path is None or path in told:
        return
    if pinned * 1024 < memory:
        told.add(path)
        message = (
            f"a run of {task} takes {size(int(memory))}, but worker {scope.name} replaces a child process "
            f"above {size(int(pinned * 1024))}: each run of {task} costs a new process"
        )
        related = (Related(("tasks", task, "memory"), size(int(memory))),)
        help_text = "raise `max_memory_per_child` (in KiB), or remove it"
        yield MEMORY_PER_CHILD_LOW.at(path, message, help=help_text, related=related)
    elif pinned < LEAST_KIB:
        told.add(path)
        message = (
            f"worker {scope.name} replaces a child process above {size(int(pinned * 1024))}; an idle one "
            "with an application loaded may already take more, so each run may cost a new process"
        )
        help_text = f"write {LEAST_KIB} (KiB) or more, or remove `max_memory_per_child`"
        yield MEMORY_PER_CHILD_LOW.at(path, message, help=help_text)
