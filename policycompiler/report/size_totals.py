"""What all workers take together, beside the budget."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, Plan
from policycompiler.plan.processes import slots_of, taken_bytes, taken_cores
from policycompiler.quantities import counted, percent, size

_ROUNDING = 1e-9


def totals(plan: Plan) -> Iterator[str]:
    """A line with the sum, and one for each part of the budget."""
    workers = plan.scopes("worker")
    if not workers or any(plan.find(worker, "base_bytes") is None for worker in workers):
        return
    processes = {worker: int(plan.number(worker, "replicas")) for worker in workers}
    slots = {worker: int(slots_of(plan, worker)) for worker in workers}
    all_slots = sum(processes[worker] * slots[worker] for worker in workers)
    memory = {worker: taken_bytes(plan, worker, slots[worker]) for worker in workers}
    cores = {worker: taken_cores(plan, worker, slots[worker]) for worker in workers}
    taken = {
        "memory_bytes": sum(processes[worker] * memory[worker] for worker in workers),
        "cores": sum(processes[worker] * cores[worker] for worker in workers),
        "connections": sum(
            processes[worker] * slots[worker] * (plan.number_if_any(worker, "slot_connections") or 0)
            for worker in workers
        ),
    }
    count = sum(processes.values())
    known = [_told(kind, amount) for kind, amount in taken.items() if amount]
    several = counted(count, "process")
    yield f"all workers: {counted(all_slots, 'slot')} in {several}, {', '.join(known)}"
    budget = plan.get(APP, "budget")
    for kind, amount in budget.items() if isinstance(budget, dict) else ():
        whole = float(str(amount))
        told = f"budget: {_told(kind, whole)}"
        if taken[kind] > whole * (1 + _ROUNDING):
            yield f"{told}, exceeded by {_told(kind, taken[kind] - whole)}"
        else:
            yield f"{told}, {percent(taken[kind] / whole)} taken"


def _told(kind: str, amount: float) -> str:
    return f"{size(int(amount))} of memory" if kind == "memory_bytes" else counted(amount, kind[:-1])
