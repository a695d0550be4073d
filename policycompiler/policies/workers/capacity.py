"""Whether pinned slots suffice for the declared work, and pinned memory for the slots.

Decides:
    Nothing.

Because:
    Above some 70 % busy a queue's wait grows faster than its load, and above 100 % it grows for ever. A
    worker that outgrows its memory budget is killed with everything it runs. The slots that nobody pins
    follow from the same numbers (https://docs.celeryq.dev/en/stable/userguide/optimizing.html).

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
    PC336 memory-budget: raise the budget, or pin fewer slots.
        fires:
            tasks: {shop.a: {queue: q, memory: 600MiB}}
            workers: {q: {concurrency: 4, memory: 2GiB}}
        silent:
            tasks: {shop.a: {queue: q, memory: 600MiB}}
            workers: {q: {concurrency: 3, memory: 2GiB}}

Parameters:
    `busy_on_average`: the largest share of pinned slots that the declared work may fill; 0.7.
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

NAME = "capacity"

CAPACITY_SHORT = warning("PC326", "capacity-short")
MEMORY_BUDGET = warning("PC336", "memory-budget")

MEMORY = "memory_bytes"
"""Of a process of a worker, and of a run of a task."""
MIB = 2**20


class Parameters(PolicyParameters):
    """What a policy file may set."""

    busy_on_average: Annotated[float, Field(ge=0.05, le=1)] = Field(
        0.7, description="busy share of pinned slots over a day; above it waits grow faster than load"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Diagnostic]:
    """Slots against load, wherever both are known; memory against slots."""
    del spec
    for workers in _groups(plan):
        yield from _capacity(plan, workers, tuned)
    for worker in plan.scopes("worker"):
        yield from _memory(plan, worker)


def _groups(plan: Plan) -> list[list[Scope]]:
    """Workers that share a queue, directly or through others: only together can they be held to a load."""
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
            # Where each worker gets every message, no slot takes work from another.
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
            who = f"the {len(workers)} workers of its queues have"
        grows = "the queue grows for ever" if load >= slots else "waits grow faster than load"
        message = (
            f"the declared work keeps {load:.3g} slots busy on average (rate times mean run time), and {who} "
            f"{slots:g}: {load / slots:.0%} busy, so {grows}"
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
    """Of one process, at its most."""
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
            f"{runs} {slots * size / MIB:.0f} MiB, and a process of worker {worker.name} has "
            f"{budget / MIB:.0f} MiB: the kernel kills a run or all of them"
        )
        related = (Related(("tasks", name, "memory"), f"{size / MIB:.0f} MiB a run"),)
        fit = math.floor(budget / size)
        help_text = f"raise the budget, or pin {fit} slots" if fit else "raise the budget"
        yield MEMORY_BUDGET.at(("workers", worker.name, "memory"), message, help=help_text, related=related)
