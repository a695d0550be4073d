"""Whether the slots are enough for the load and for what the queues promise, and memory for the slots.

Decides:
    Nothing.

Because:
    When more than about 70% of the slots are busy, waits grow faster than the load. At 100% a backlog grows
    without end. If a worker process exceeds its memory budget, the kernel kills it with all of its runs.
    Slots that are not pinned are computed from the same numbers.

    Below that, waits depend on the number of slots and on how unequal the runs are. `policycompiler size`
    shows them step by step. One long task makes all tasks of its worker wait, because it holds a slot for
    long. A burst waits until the messages before it have started
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
    PC983 promise-unkept: pin more slots, raise the budget, or choose a latency class that waits longer.
        fires:
            tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 2s, p99: 9s}, rate: 1/s}}
            workers: {q: {concurrency: 4}}
        silent:
            tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 2s, p99: 9s}, rate: 1/s}}
            workers: {q: {concurrency: 9}}
    PC984 burst-not-drained: pin more slots, or choose a latency class that waits longer.
        fires:
            tasks: {shop.a: {latency: interactive, runtime: 2s, rate: 1/m, burst: 100}}
        silent:
            tasks: {shop.a: {latency: batch, runtime: 2s, rate: 1/m, burst: 100}}
    PC985 long-neighbor: give the long task its own queue or worker.
        when: a worker needs many more slots for its promise because one task holds slots for long.
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
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.load import loads
from policycompiler.hazards.waits import late_bursts, long_neighbors, unkept_promises
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import worker_lines
from policycompiler.plan.processes import slots_of
from policycompiler.quantities import counted
from policycompiler.quantities import size as size_text

NAME = "capacity"

CAPACITY_SHORT = warning("PC326", "capacity-short")
MEMORY_BUDGET = warning("PC336", "memory-budget")
PROMISE_UNKEPT = warning("PC983", "promise-unkept")
BURST_NOT_DRAINED = warning("PC984", "burst-not-drained")
LONG_NEIGHBOR = warning("PC985", "long-neighbor")

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
    told: set[str] = set()
    lines = worker_lines(plan)
    for found in loads(plan):
        if found.busy > tuned.busy_on_average:
            names = {worker.name for worker in found.workers}
            # Fewer would break the promise, which is then the next finding.
            least = max(line.fewest_slots or 0 for line in lines if line.worker in names)
            yield found.hazard(plan, tuned.busy_on_average, least).as_finding(CAPACITY_SHORT)
            told |= names
    yield from as_findings(long_neighbors(plan, lines), LONG_NEIGHBOR)
    yield from as_findings(
        unkept_promises(plan, [line for line in lines if line.worker not in told]), PROMISE_UNKEPT
    )
    yield from as_findings(late_bursts(plan, lines), BURST_NOT_DRAINED)
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
        runs = f"{counted(slots, 'run')} of {name} take" if slots > 1 else f"a run of {name} takes"
        message = (
            f"{runs} {size_text(int(slots * size))}, but a process of worker {worker.name} has a budget of "
            f"{size_text(int(budget))}: the kernel kills a child process or the whole worker process"
        )
        related = (Related(("tasks", name, "memory"), f"{size_text(int(size))} a run"),)
        fit = math.floor(budget / size)
        help_text = (
            f"raise the memory budget, or pin {counted(fit, 'slot')}" if fit else "raise the memory budget"
        )
        yield MEMORY_BUDGET.at(("workers", worker.name, "memory"), message, help=help_text, related=related)
