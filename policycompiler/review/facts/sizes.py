"""The capacity of all workers: processes, slots and memory of each worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.knowledge import pools
from policycompiler.plan import Plan, Scope

KEYS = ("concurrency", "autoscale", "replicas", "memory_bytes", "max_memory_per_child", "pool")
"""Settings of a worker that decide its size."""
GROWS_TWOFOLD = 2.0
"""From this factor on a person must check the room: hosts are rarely half empty."""
_KIB = 1024


class Size(NamedTuple):
    """All processes of a worker together; memory is None without a limit.

    Memory is the declared budget of each process. Without one, it is the limit at which prefork children
    are replaced.
    """

    replicas: int = 0
    slots: int = 0
    memory_bytes: int | None = 0

    def plus(self, other: Size) -> Size:
        """Both together; the sum is unknown if either memory is."""
        known = self.memory_bytes is not None and other.memory_bytes is not None
        memory = (self.memory_bytes or 0) + (other.memory_bytes or 0) if known else None
        return Size(self.replicas + other.replicas, self.slots + other.slots, memory)


NOTHING = Size()


class Resized(NamedTuple):
    """A worker whose size differs, or all workers together; `NOTHING` on a side without the worker."""

    worker: str
    before: Size
    after: Size

    @property
    def factor(self) -> float:
        """The larger growth of slots and memory; 1 without growth."""
        pairs = [
            (self.before.slots, self.after.slots),
            (self.before.memory_bytes or 0, self.after.memory_bytes or 0),
        ]
        return max([1.0, *(after / before for before, after in pairs if before)])


def size(plan: Plan, worker: Scope) -> Size:
    """The maximum size of a worker; `NOTHING` if the plan does not have it."""
    if not plan.keys(worker):
        return NOTHING
    replicas = int(plan.number_if_any(worker, "replicas") or 0)
    bounds = plan.get(worker, "autoscale")
    most = bounds.get("max") if isinstance(bounds, dict) else plan.get(worker, "concurrency")
    slots = int(most) if isinstance(most, int | float) else 1
    return Size(replicas, replicas * slots, _memory(plan, worker, replicas, slots))


def _memory(plan: Plan, worker: Scope, replicas: int, slots: int) -> int | None:
    budget = plan.number_if_any(worker, "memory_bytes")
    if budget is not None:
        return int(budget) * replicas
    child = plan.number_if_any(worker, "max_memory_per_child")
    processes = pools.pool(str(plan.get(worker, "pool", "prefork"))).processes
    return int(child) * _KIB * slots * replicas if child is not None and processes else None


def resized(old: Plan, new: Plan) -> tuple[Resized, ...]:
    """The workers whose size differs, by name; also added and removed workers."""
    workers = sorted({*old.scopes("worker"), *new.scopes("worker")})
    found = (Resized(worker.name, size(old, worker), size(new, worker)) for worker in workers)
    return tuple(each for each in found if each.before != each.after)


def total(old: Plan, new: Plan) -> Resized:
    """All workers together, including those of the same size."""
    return Resized("", *(_sum(size(plan, worker) for worker in plan.scopes("worker")) for plan in (old, new)))


def _sum(sizes: Iterable[Size]) -> Size:
    found = NOTHING
    for each in sizes:
        found = found.plus(each)
    return found
