"""How many processes and slots a worker has, what they take, and which workers share queues."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.knowledge import pools
from policycompiler.plan import APP, Plan, Scope

LEAST_CORES = 0.1
"""For a worker with few slots: its parent process works too."""
MOST_SHARED_CORES = 1
"""Threads and green threads of one Python process compute on one core at a time."""


def fewest(plan: Plan, worker: Scope) -> tuple[int, str]:
    """The fewest processes that run without a fault, and the key of the setting that says it.

    Only containers are scaled; elsewhere as many processes run as at peak.
    """
    bounds = plan.get(worker, "scaling")
    if isinstance(bounds, dict) and plan.find(APP, "image") is not None:
        return int(str(bounds["min"])), "scaling"
    return int(plan.number(worker, "replicas")), "replicas"


def slots_of(plan: Plan, worker: Scope) -> float:
    """The largest number of slots of one worker process."""
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        return max(number for number in bounds.values() if isinstance(number, int))
    return plan.number(worker, "concurrency")


def sharing(plan: Plan) -> list[list[Scope]]:
    """Workers that share a queue, directly or through others: they share one load."""
    group_of = {worker.name: {worker.name} for worker in plan.scopes("worker")}
    for queue in plan.scopes("queue"):
        merged: set[str] = set()
        for name in plan.texts(queue, "workers"):
            # A plan between two other plans may name a worker that it does not have.
            merged |= group_of.get(name, set())
        for name in merged:
            group_of[name] = merged
    groups = {min(group): group for group in group_of.values()}
    return [[Scope("worker", name) for name in sorted(groups[first])] for first in sorted(groups)]


def taken_bytes(plan: Plan, worker: Scope, slots: int) -> float:
    """The memory that one worker process takes of a budget: what is declared, or the estimate."""
    return plan.number_if_any(worker, "memory_bytes") or process_bytes(plan, worker, slots)


def taken_cores(plan: Plan, worker: Scope, slots: int) -> float:
    """The cores that one worker process takes of a budget: what is declared, or the estimate."""
    return plan.number_if_any(worker, "cores") or process_cores(plan, worker, slots)


def taken(plan: Plan, worker: Scope, processes: int, each: int) -> dict[str, float]:
    """What processes with so many slots each take of the budget of all workers, by the kind of budget."""
    return {
        "memory_bytes": processes * taken_bytes(plan, worker, each),
        "cores": processes * taken_cores(plan, worker, each),
        "connections": processes * each * (plan.number_if_any(worker, "slot_connections") or 0),
    }


def process_bytes(plan: Plan, worker: Scope, slots: int) -> int:
    """An estimate of the memory of one worker process with this many slots."""
    return int(plan.number(worker, "base_bytes") + slots * plan.number(worker, "slot_bytes"))


def process_cores(plan: Plan, worker: Scope, slots: int) -> float:
    """The cores that one worker process with this many slots needs."""
    tasks = (Scope("task", name) for name in plan.texts(worker, "tasks"))
    computes = any(plan.value(task, "work") == "cpu" for task in tasks)
    slots_cores = round(slots * plan.number(worker, "slot_cores"), 3)
    if pools.pool(plan.text(worker, "pool")).shares_process:
        slots_cores = min(slots_cores, MOST_SHARED_CORES)
    return max(LEAST_CORES, 1 if computes else 0, slots_cores)


class Pace(NamedTuple):
    """The most slots of which none has to wait too long for its turn to call a dependency.

    At this rate per second, so many runs start, and wait, within `seconds`: the longest wait and a run.
    """

    slots: int
    dependency: Scope
    rate: float
    seconds: float


def paces(plan: Plan, worker: Scope) -> list[Pace]:
    """One for each dependency with a rate that all tasks of the worker call."""
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    found = []
    for scope in plan.scopes("dependency"):
        rate = plan.number_if_any(scope, "rate_per_second")
        if rate is not None and tasks and {task.name for task in tasks} <= set(plan.texts(scope, "tasks")):
            runs = [plan.number_if_any(task, "runtime_mean_seconds") or 0 for task in tasks]
            seconds = plan.number(scope, "hold_seconds") + max(runs)
            found.append(Pace(max(1, int(rate * seconds)), scope, rate, seconds))
    return found


def paced_slots(plan: Plan, worker: Scope) -> tuple[int, Scope] | None:
    """The most slots of all paces, and the dependency; None if no such dependency has a rate."""
    return min(((pace.slots, pace.dependency) for pace in paces(plan, worker)), default=None)
