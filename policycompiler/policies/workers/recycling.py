"""When a pool process is replaced by a fresh one.

Decides:
    `worker:NAME/max_tasks_per_child`, and `worker:NAME/max_memory_per_child` in KiB where memory is
    declared. Only prefork has processes to recycle.

Because:
    Leaks in libraries are the rule over weeks. Celery looks at a child's memory after each task, so the
    bound must lie above what a healthy child needs, or every task pays for a new process. It counts in KiB,
    and pools other than prefork ignore both bounds without a word
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#max-memory-per-child-setting).

Example:
    tasks: {shop.reports.yearly: {latency: batch, memory: 600MiB}}

    worker:shop.batch.io/max_tasks_per_child = 1000
    worker:shop.batch.io/max_memory_per_child = 998400

Refuses:
    PC321 pool-recycle-inert: remove it, or use prefork.
        fires:
            queues: {q: {}}
            workers: {q: {pool: threads, options: {max_tasks_per_child: 100}}}
        silent:
            queues: {q: {}}
            workers: {q: {pool: prefork, options: {max_tasks_per_child: 100}}}
    PC335 memory-per-child-low: raise it above what an idle process and its largest task take, or remove it.
        fires:
            queues: {q: {}}
            workers: {q: {options: {max_memory_per_child: 50000}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {max_memory_per_child: 200000}}}

Parameters:
    `tasks_per_child`: the runs after which a process is replaced; 1000.
    `memory_margin`: how much above the declared peak a process may be, as a factor; 1.25.
    `idle_child_kib`: the memory of a process that has loaded the application, in KiB; 230400.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, warning
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Decision, Derived, Origin, Parameter, Plan, Scope

NAME = "recycling"

POOL_RECYCLE_INERT = warning("PC321", "pool-recycle-inert")
MEMORY_PER_CHILD_LOW = warning("PC335", "memory-per-child-low")

LEAST_KIB = 150000
"""A bare child of a tiny app has some 50 MB, one that has loaded an application two or three times that."""
MEMORY = "memory_bytes"
BOUNDS = ("max_tasks_per_child", "max_memory_per_child")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    tasks_per_child: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        1000, description="rare enough to cost nothing, often enough to end a slow leak"
    )
    memory_margin: Annotated[float, Field(ge=1, le=10)] = Field(
        1.25, description="a quarter above the declared peak is a leak, not a large task"
    )
    idle_child_kib: Annotated[int, Field(ge=0, le=104_857_600)] = Field(
        230_400, description="of an idle child with the application loaded; a bare one already has 50 MB"
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
            because = "rare enough to cost nothing, often enough to end a slow leak"
            runs = tuned.tasks_per_child
            origins: tuple[Origin, ...] = (_parameter("tasks_per_child", runs), Derived(scope, "pool"))
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
                _parameter("memory_margin", tuned.memory_margin),
                _parameter("idle_child_kib", tuned.idle_child_kib),
            )
            because = "the declared peak and a quarter, on top of an idle child"
            if tuned.memory_margin != Parameters().memory_margin:
                because = f"the declared peak times {tuned.memory_margin:g}, on top of an idle child"
            yield Decision(scope, "max_memory_per_child", kib, because, origins)


def _inert(plan: Plan) -> Iterator[Diagnostic]:
    """Bounds that are pinned where no process can be replaced."""
    kinds = {scope: plan.text(scope, "pool") for scope in plan.scopes("worker")}
    # A class of the user's own may have processes to replace.
    fixed = {kind for kind, pool in pools.POOLS.items() if not pool.recycles}
    nowhere = all(pool in fixed for pool in kinds.values())
    told: set[SpecPath] = set()
    for scope, pool in kinds.items():
        for key in BOUNDS:
            path = plan.written(scope, key)
            # What is pinned for all workers has an effect as long as one of them has processes.
            if pool in fixed and path and path not in told and (nowhere or path[0] == "workers"):
                told.add(path)
                message = (
                    f"the pool {pool} of worker {scope.name} replaces no processes; `{key}` does nothing"
                )
                help_text = "remove it, or use `pool: prefork`"
                yield POOL_RECYCLE_INERT.at(path, message, help=help_text, fix=(Remove(path),))


def _low(plan: Plan, scope: Scope, memory: float, task: str, told: set[SpecPath]) -> Iterator[Diagnostic]:
    pinned = plan.number_if_any(scope, "max_memory_per_child")
    path = plan.written(scope, "max_memory_per_child")
    if pinned is None or path is None or path in told:
        return
    if pinned * 1024 < memory:
        told.add(path)
        message = (
            f"{task} alone takes {memory / 1024:.0f} KiB, and a process of worker {scope.name} is replaced "
            f"above {pinned:g} KiB: every such run costs a new process"
        )
        related = (Related(("tasks", task, "memory"), f"{memory / 1024:.0f} KiB"),)
        yield MEMORY_PER_CHILD_LOW.at(path, message, help="raise it, or remove it", related=related)
    elif pinned < LEAST_KIB:
        told.add(path)
        message = (
            f"{pinned:g} KiB is {pinned / 1024:.0f} MiB, which an idle process with an application loaded "
            "may already have: then every run costs a new process"
        )
        yield MEMORY_PER_CHILD_LOW.at(path, message, help=f"write {LEAST_KIB} or more, or remove it")


def _parameter(key: str, value: float) -> Parameter:
    return Parameter(("parameters", NAME, key), value)
