"""Whether pinned slots are enough for the declared load, and pinned memory for the slots.

Decides:
    Nothing.

Because:
    When more than about 70% of the slots are busy, waits grow faster than the load. At 100% a backlog grows
    without end. If a worker process exceeds its memory budget, the kernel kills it with all of its runs.
    Slots that are not pinned are computed from the same numbers
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html).

Example:
    tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}
    workers: {q: {concurrency: 4}}

    refuses capacity-short

Refuses:
    PC326 capacity-short: pin more slots or replicas, or remove the pin.
        fires:
            tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}
            workers: {q: {concurrency: 8}}
        silent:
            tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}
            workers: {q: {concurrency: 9}}
    PC336 memory-budget: raise the memory budget, or pin fewer slots.
        fires:
            tasks: {shop.a: {queue: q, memory: 600MiB}}
            workers: {q: {concurrency: 4, memory: 2GiB}}
        silent:
            tasks: {shop.a: {queue: q, memory: 600MiB}}
            workers: {q: {concurrency: 3, memory: 2GiB}}

Parameters:
    `busy_on_average`: the largest share of pinned slots that the declared load may keep busy; 0.7.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, warning
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import size as size_text

NAME = "capacity"

CAPACITY_SHORT = warning("PC326", "capacity-short")
MEMORY_BUDGET = warning("PC336", "memory-budget")

MEMORY = "memory_bytes"
"""The memory of a worker process, and of one run of a task."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    busy_on_average: Annotated[float, Field(ge=0.05, le=1)] = Field(
        0.7, description="share of pinned slots busy on average; above it, waits grow faster than the load"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Compare slots with load where both are known, and memory with slots."""
    del spec
    for workers in _groups(plan):
        yield from _capacity(plan, workers, tuned)
    for worker in plan.scopes("worker"):
        yield from _memory(plan, worker)


def _groups(plan: Plan) -> list[list[Scope]]:
    """Workers that share a queue, directly or through others: they share one load."""
    group_of = {worker.name: {worker.name} for worker in plan.scopes("worker")}
    for queue in plan.scopes("queue"):
        merged: set[str] = set()
        for name in plan.texts(queue, "workers"):
            merged |= group_of[name]
        for name in merged:
            group_of[name] = merged
    groups = {min(group): group for group in group_of.values()}
    return [[Scope("worker", name) for name in sorted(groups[first])] for first in sorted(groups)]


def _capacity(plan: Plan, workers: list[Scope], tuned: Parameters) -> Iterator[Diagnostic]:
    pins = [path for worker in workers if (path := _pin(plan, worker)) is not None]
    queues = sorted({name for worker in workers for name in plan.texts(worker, "queues")})
    load, tasks = 0.0, set()
    for queue in (Scope("queue", name) for name in queues):
        for task in (Scope("task", name) for name in plan.texts(queue, "tasks")):
            # In a broadcast queue each worker gets every message, so the workers do not share the load.
            once = plan.value(task, "queue") == queue.name and not plan.value(queue, "broadcast")
            rate = plan.number_if_any(task, "rate_mean_per_second")
            runtime = plan.number_if_any(task, "runtime_mean_seconds")
            if once and rate is not None and runtime is not None and not plan.value(task, "external"):
                load += rate * runtime
                tasks.add(task.name)
    slots = sum(_slots(plan, worker) * plan.number(worker, "replicas") for worker in workers)
    if pins and load > tuned.busy_on_average * slots > 0:
        who = f"worker {workers[0].name} has"
        if len(workers) > 1:
            who = f"the {len(workers)} workers of these queues have"
        grows = "the backlog grows without end" if load >= slots else "waits grow faster than the load"
        message = (
            f"the declared load keeps {load:.3g} slots busy on average (rate times mean run time), and {who} "
            f"{slots:g} slots: {load / slots:.0%} busy, so {grows}"
        )
        needed = math.ceil(load / tuned.busy_on_average)
        help_text = f"pin {needed} slots or more, or remove the pin"
        related = (Related(("tasks", min(tasks), "rate"), "one of the rates"),)
        yield CAPACITY_SHORT.at(pins[0], message, help=help_text, related=related)


def _pin(plan: Plan, worker: Scope) -> SpecPath | None:
    return (
        plan.written(worker, "concurrency")
        or plan.written(worker, "autoscale")
        or plan.written(worker, "replicas")
    )


def _slots(plan: Plan, worker: Scope) -> float:
    """The largest number of slots of one worker process."""
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        return max(number for number in bounds.values() if isinstance(number, int))
    return plan.number(worker, "concurrency")


def _memory(plan: Plan, worker: Scope) -> Iterator[Diagnostic]:
    budget = plan.number_if_any(worker, MEMORY)
    tasks = plan.texts(worker, "tasks")
    declared = [(size, name) for name in tasks if (size := plan.number_if_any(Scope("task", name), MEMORY))]
    if budget is None or not declared or not pools.pool(plan.text(worker, "pool")).own_memory:
        return
    size, name = max(declared)
    slots = _slots(plan, worker)
    if slots * size > budget:
        runs = f"{slots:g} runs of {name} take" if slots > 1 else f"a run of {name} takes"
        message = (
            f"{runs} {size_text(int(slots * size))}, but a process of worker {worker.name} has a budget of "
            f"{size_text(int(budget))}: the kernel kills a child process or the whole worker process"
        )
        related = (Related(("tasks", name, "memory"), f"{size_text(int(size))} a run"),)
        fit = math.floor(budget / size)
        help_text = f"raise the memory budget, or pin {fit} slots" if fit else "raise the memory budget"
        yield MEMORY_BUDGET.at(("workers", worker.name, "memory"), message, help=help_text, related=related)
