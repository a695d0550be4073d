"""What keeps a promise: the slots that the compiler would choose, and what bounds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import place_of
from policycompiler.knowledge import pools
from policycompiler.knowledge.rate_limits import SECONDS_OF_UNITS
from policycompiler.plan import APP, Derived, Parameter, Plan, Scope, Written
from policycompiler.plan.lines import MOST_BUSY, PROMISED_SHARE, Flow, Limit, WorkerLine, held, together
from policycompiler.plan.processes import paces, slots_of, taken, taken_bytes
from policycompiler.quantities import number, written
from policycompiler.sizing import Promise, smallest_slots

BUDGETS = {Limit.MEMORY: "memory_bytes", Limit.CORES: "cores", Limit.CONNECTIONS: "connections"}
_SIZED = ("sized_by", "concurrency", "autoscale", "replicas", "slots_at_mean")
_DECIDES = "concurrency"
USUAL = {
    "busy_at_peak": 0.7,
    "busy_at_peak_shared": 0.35,
    "wait_margin": 1.1,
    "wait_margin_without_peak": 2.0,
    "fewest_slots": 2,
    "most_slots": 32,
    "most_slots_shared": 200,
}
"""The usual parameters of the policy that sizes workers. A plan has only those that decided something."""
_MIB = 2**20
_THOUSAND = 1000
_ROUNDING = 1e-9


def chosen_slots(plan: Plan, worker: Scope, flows: Sequence[Flow], seconds: float) -> int | None:
    """The slots that the compiler would choose for these messages, if a queue promises so many seconds.

    None if no number of slots keeps the promise.
    """
    peaks = all(plan.find(Scope("task", flow.task), "rate_peak_per_second") for flow in flows if flow.rate)
    margin = _tuned(plan, "wait_margin" if peaks else "wait_margin_without_peak")
    by_wait = smallest_slots(*held(flows), Promise(seconds, PROMISED_SHARE, MOST_BUSY, margin))
    if by_wait is None:
        return None
    shares = pools.pool(plan.text(worker, "pool")).shares_process and plan.written(worker, "pool") is None
    shared = shares and not plan.get(worker, "slot_connections")
    busy = _tuned(plan, "busy_at_peak_shared" if shared else "busy_at_peak")
    rate, service = together(flows)
    by_load = math.ceil(rate * service.mean / busy * (1 - _ROUNDING))
    return max(int(_tuned(plan, "fewest_slots")), by_load, by_wait)


class Raise(NamedTuple):
    """A budget with the amount that it must become, as a workload writes it."""

    path: SpecPath
    amount: str


def enough(plan: Plan, lines: Sequence[WorkerLine], each: WorkerLine) -> Raise:
    """What the budget that keeps a worker from more slots must become, so that its promise is kept.

    The budget then has room for the promises of all other workers too: the more urgent ones take of it first.
    """
    kind, worker = BUDGETS[each.limited_by], Scope("worker", each.worker)
    path = budget_path(plan, each)
    host = Scope("host", str(path[1])) if path[0] == "hosts" else None
    if path[0] == "workers":
        _, slots = _split(plan, each, kept_slots(each))
        if kind == "memory_bytes":
            return Raise(
                path, _size(plan.number(worker, "base_bytes") + slots * plan.number(worker, "slot_bytes"))
            )
        return Raise(path, number(slots * plan.number(worker, "slot_cores")))
    whole = math.fsum(_takes(plan, line, kind, host) for line in lines)
    return Raise(path, _size(whole) if kind == "memory_bytes" else number(_up(whole)))


def budget_path(plan: Plan, each: WorkerLine) -> SpecPath:
    """Where the budget stands that keeps a worker from more slots."""
    worker, kind = Scope("worker", each.worker), BUDGETS[each.limited_by]
    for origin in plan.setting(worker, "sized_by").origins:
        if origin == Derived(APP, "budget"):
            return ("budget", kind.removesuffix("_bytes"))
        if isinstance(origin, Written) and origin.path[0] == "hosts":
            return origin.path
    return place_of(plan, worker, kind)


def kept_slots(each: WorkerLine) -> int:
    """The slots of a worker that keep its promise; those that it has, if it pins them or promises nothing."""
    fewest = each.fewest_slots
    if each.limited_by in (Limit.PINNED, Limit.POOL, Limit.ASSUMED) or fewest is None:
        return each.slots
    if each.processes > 1 and each.all_slots == each.slots_each:
        # The line is that of one process, with all messages of a broadcast queue.
        return fewest * each.processes
    # Workers that share queues and are alike share the slots; others cannot be relied on.
    parts = round(each.all_slots / each.slots) if each.slots else 1
    return math.ceil(fewest / parts) if parts == len(each.beside) + 1 else fewest


def _takes(plan: Plan, each: WorkerLine, kind: str, host: Scope | None) -> float:
    """What a worker that keeps its promise takes of a budget."""
    worker = Scope("worker", each.worker)
    processes, slots = each.processes, int(slots_of(plan, worker))
    if each.limited_by not in (Limit.PINNED, Limit.POOL, Limit.ASSUMED):
        processes, slots = _split(plan, each, kept_slots(each))
    if host is None:
        return taken(plan, worker, processes, slots)[kind]
    placed = plan.get(host, "workers")
    count = placed.get(worker.name, 0) if isinstance(placed, dict) else 0
    assert isinstance(count, int)
    if kind == "memory_bytes":
        return count * taken_bytes(plan, worker, slots)
    cores = plan.number(worker, "slot_cores")
    return count * slots * cores if cores >= 1 else 0


def _split(plan: Plan, each: WorkerLine, slots: int) -> tuple[int, int]:
    """The processes of a worker with so many slots, and the slots of each."""
    worker = Scope("worker", each.worker)
    if plan.setting(worker, "replicas").policy != _DECIDES:
        return each.processes, math.ceil(slots / each.processes)
    shared = pools.pool(each.pool).shares_process
    most = int(_tuned(plan, "most_slots_shared" if shared else "most_slots"))
    memory = plan.number_if_any(worker, "memory_bytes")
    if memory is not None and each.slot_bytes:
        most = min(most, int((memory - (each.base_bytes or 0)) / each.slot_bytes))
    cores, one = plan.number_if_any(worker, "cores"), plan.number(worker, "slot_cores")
    if cores is not None and one >= 1:
        most = min(most, int(cores / one))
    processes = math.ceil(slots / max(most, 1))
    if shared:
        # So many runs a second need them, however many slots they have.
        processes = max(processes, each.processes)
    return processes, math.ceil(slots / processes)


def _tuned(plan: Plan, key: str) -> float:
    """A parameter of the policy that sizes workers."""
    for worker in plan.scopes("worker"):
        for setting in (plan.find(worker, each) for each in _SIZED):
            for origin in setting.origins if setting is not None else ():
                if isinstance(origin, Parameter) and origin.path == ("parameters", _DECIDES, key):
                    return float(str(origin.value))
    return USUAL[key]


def enough_calls(plan: Plan, each: WorkerLine) -> list[str]:
    """What keeps the promise of a worker whose slots a dependency bounds: a higher rate, or a longer hold."""
    needed, worker = kept_slots(each), Scope("worker", each.worker)
    found = []
    for pace in paces(plan, worker):
        if pace.slots >= needed:
            continue
        name, rest = pace.dependency.name, pace.seconds - plan.number(pace.dependency, "hold_seconds")
        hold = math.ceil((needed / pace.rate - rest) * _THOUSAND) / _THOUSAND
        rate = _rate(needed / pace.seconds)
        found.append(f"raise `dependencies.{name}.rate` to `{rate}` or its `hold` to `{written(hold)}`")
    return found


def _rate(per_second: float) -> str:
    """A rate as a workload writes it, rounded up to a whole number."""
    unit = next((unit for unit, each in SECONDS_OF_UNITS.items() if per_second * each >= 1), "h")
    return f"{math.ceil(per_second * SECONDS_OF_UNITS[unit])}/{unit}"


def _size(count: float) -> str:
    """Bytes as a workload writes them, rounded up."""
    return f"{math.ceil(count / _MIB)}MiB"


def _up(value: float) -> float:
    """A number of cores or connections, rounded up to a thousandth."""
    return math.ceil(value * _THOUSAND - _ROUNDING) / _THOUSAND
