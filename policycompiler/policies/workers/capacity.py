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
            workers: {q: {concurrency: 6}}
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

from policycompiler.diagnostics import Diagnostic, Related, warning
from policycompiler.hazards.load import loads
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Plan, Scope
from policycompiler.plan.processes import slots_of
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
    for found in loads(plan):
        if found.busy > tuned.busy_on_average:
            yield found.hazard(plan, tuned.busy_on_average).as_finding(CAPACITY_SHORT)
    for worker in plan.scopes("worker"):
        yield from _memory(plan, worker)


def _memory(plan: Plan, worker: Scope) -> Iterator[Diagnostic]:
    budget = plan.number_if_any(worker, MEMORY)
    tasks = plan.texts(worker, "tasks")
    declared = [(size, name) for name in tasks if (size := plan.number_if_any(Scope("task", name), MEMORY))]
    if budget is None or not declared or not pools.pool(plan.text(worker, "pool")).own_memory:
        return
    size, name = max(declared)
    slots = slots_of(plan, worker)
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
