"""What a fleet can run at once and what that takes: processes, slots and memory of each worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from policycompiler.plan import Plan, Scope

KEYS = ("concurrency", "autoscale", "replicas", "memory_bytes", "max_memory_per_child", "pool")
"""Settings of a worker that its size is counted from."""
GROWS_TWOFOLD = 2.0
"""From here on somebody has to see to it that there is room: a fleet is rarely half empty."""
_KIB = 1024


class Size(NamedTuple):
    """All processes of a worker together; memory is None where nothing bounds it.

    Memory is the declared budget of each process, else what the children of a prefork pool may have before
    they are replaced.
    """

    replicas: int = 0
    slots: int = 0
    memory_bytes: int | None = 0

    def plus(self, other: Size) -> Size:
        """Both together; of an unknown memory nothing is known of the sum."""
        known = self.memory_bytes is not None and other.memory_bytes is not None
        memory = (self.memory_bytes or 0) + (other.memory_bytes or 0) if known else None
        return Size(self.replicas + other.replicas, self.slots + other.slots, memory)


NOTHING = Size()


class Resized(NamedTuple):
    """A worker whose size differs, or all of them together; `NOTHING` where there is none on a side."""

    worker: str
    before: Size
    after: Size

    @property
    def factor(self) -> float:
        """By how much it grows, in slots or in memory, whichever is more; 1 where it does not."""
        pairs = [
            (self.before.slots, self.after.slots),
            (self.before.memory_bytes or 0, self.after.memory_bytes or 0),
        ]
        return max([1.0, *(after / before for before, after in pairs if before)])


def size(plan: Plan, worker: Scope) -> Size:
    """Of a worker of a plan, at its most; nothing of one that is not there."""
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
    prefork = plan.get(worker, "pool", "prefork") == "prefork"
    return int(child) * _KIB * slots * replicas if child is not None and prefork else None


def resized(old: Plan, new: Plan) -> tuple[Resized, ...]:
    """The workers whose size differs, by name; those that come and go, too."""
    workers = sorted({*old.scopes("worker"), *new.scopes("worker")})
    found = (Resized(worker.name, size(old, worker), size(new, worker)) for worker in workers)
    return tuple(each for each in found if each.before != each.after)


def total(old: Plan, new: Plan) -> Resized:
    """All workers together, those whose size stays, too."""
    return Resized("", *(_sum(size(plan, worker) for worker in plan.scopes("worker")) for plan in (old, new)))


def _sum(sizes: Iterable[Size]) -> Size:
    found = NOTHING
    for each in sizes:
        found = found.plus(each)
    return found
