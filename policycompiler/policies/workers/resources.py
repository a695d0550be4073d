"""What one worker process takes of its machine, and each of its slots.

Decides:
    `worker:NAME/base_bytes` and `slot_bytes`; `slot_cores`; and `slot_connections` if a task or the budget
    declares connections to a database.

Because:
    A prefork slot is a process, and most of its memory is its own. Slots of the other pools share one
    process, so a slot takes only the memory of its run. Slots whose tasks wait share a core. A slot whose
    tasks compute needs a core (https://docs.celeryq.dev/en/stable/userguide/workers.html#concurrency).

    Slots, budgets, requests and sizes all follow from these numbers, so that they agree.

Example:
    tasks: {shop.reports.yearly: {queue: reports, work: cpu, memory: 600MiB}}

    worker:reports/base_bytes = 104857600
    worker:reports/slot_bytes = 681574400
    worker:reports/slot_cores = 1

Refuses:
    Nothing.

Parameters:
    `waiting_slot_cores`: the cores that a slot needs whose tasks wait; 0.1.
    `parent_mib`: the memory of the parent process of a pool, in MiB; 100.
    `child_mib`: the memory of an idle child process beyond what it shares, in MiB; 50.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.policy import parameter

NAME = "resources"

MEMORY, CONNECTIONS = "memory_bytes", "connections"
_MIB = 1024 * 1024
COMPUTING_SLOT_CORES = 1
"""Two computing processes on one core take twice as long."""
RUN_CONNECTIONS = 1
"""Most tasks use one database, and a process keeps its connection between runs."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    waiting_slot_cores: Annotated[float, Field(gt=0, le=64)] = Field(
        0.1, description="cores that a slot needs whose tasks wait for other systems"
    )
    parent_mib: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        100, description="memory of the parent process of a pool with the application, in MiB"
    )
    child_mib: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        50, description="memory of an idle child process beyond what it shares with its parent, in MiB"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Decide what each worker takes."""
    for worker in plan.scopes("worker"):
        tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
        yield from _memory(plan, worker, tasks, tuned)
        yield _cores(plan, worker, tasks, tuned)
        yield from _connections(spec, plan, worker, tasks)


def _memory(plan: Plan, worker: Scope, tasks: list[Scope], tuned: Parameters) -> Iterator[Decision]:
    parent = parameter(NAME, "parent_mib", tuned.parent_mib)
    because = "the first process has the application and the connection to the broker"
    yield Decision(worker, "base_bytes", tuned.parent_mib * _MIB, because, (parent,))
    pool = pools.pool(plan.text(worker, "pool"))
    origins: list[Origin] = [Derived(worker, "pool")]
    if pool.processes:
        idle, because = tuned.child_mib * _MIB, "a slot is a child process"
        origins.append(parameter(NAME, "child_mib", tuned.child_mib))
    else:
        idle, because = pool.slot_bytes, "slots share one process"
    runs = [(size, task) for task in tasks if (size := plan.number_if_any(task, MEMORY))]
    largest, task = max(runs, default=(0, worker))
    if runs:
        origins.append(Derived(task, MEMORY))
        because += f", and a run of {task.name} takes the most memory"
    yield Decision(worker, "slot_bytes", int(idle + largest), because, tuple(origins))


def _cores(plan: Plan, worker: Scope, tasks: list[Scope], tuned: Parameters) -> Decision:
    origins: tuple[Origin, ...] = tuple(Derived(task, "work") for task in tasks)
    computes = bool(tasks) and all(plan.value(task, "work") == "cpu" for task in tasks)
    if computes and pools.pool(plan.text(worker, "pool")).processes:
        core = Constant("COMPUTING_SLOT_CORES", COMPUTING_SLOT_CORES)
        because = "each slot computes, and needs a core"
        return Decision(worker, "slot_cores", COMPUTING_SLOT_CORES, because, (*origins, core))
    share = parameter(NAME, "waiting_slot_cores", tuned.waiting_slot_cores)
    because = "slots whose tasks wait share a core"
    return Decision(worker, "slot_cores", tuned.waiting_slot_cores, because, (*origins, share))


def _connections(spec: Workload, plan: Plan, worker: Scope, tasks: list[Scope]) -> Iterator[Decision]:
    """Connections of one slot: as many as its most demanding task."""
    declared = [task for task in tasks if plan.find(task, CONNECTIONS)]
    if not declared and (spec.budget is None or spec.budget.connections is None):
        return
    origins: tuple[Origin, ...] = tuple(Derived(task, CONNECTIONS) for task in declared)
    most = max((int(plan.number(task, CONNECTIONS)) for task in declared), default=0)
    because = "a process keeps the connections of its most demanding task between runs"
    if len(declared) < len(tasks) or not tasks:
        most = max(most, RUN_CONNECTIONS)
        origins = (*origins, Constant("RUN_CONNECTIONS", RUN_CONNECTIONS))
        because = "not all tasks declare `connections`, and most tasks use one"
    if not origins:
        origins = (Derived(APP, "budget"),)
    yield Decision(worker, "slot_connections", most, because, origins)
