"""What slots of a worker take of budgets, and how the slots of all workers fit into them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Derived, Origin, Plan, Scope, Written
from policycompiler.plan.lines import Limit, most_urgent
from policycompiler.plan.processes import taken as taken_by_all
from policycompiler.plan.processes import taken_bytes
from policycompiler.policies.workers.concurrency.tuned import Parameters
from policycompiler.policies.workers.concurrency.wanted import Want
from policycompiler.quantities import counted, figure, size
from policycompiler.sizing import Need, Share, allocate

MEMORY = "memory_bytes"
_RANK = {"memory_bytes": Limit.MEMORY, "cores": Limit.CORES, "connections": Limit.CONNECTIONS}


class Budget(NamedTuple):
    """A bound on what workers take: `kind` of the app, or of a host."""

    kind: str
    host: str | None = None

    @property
    def limit(self) -> Limit:
        """What decided the slots of a worker that this budget keeps from more."""
        return _RANK[self.kind]

    @property
    def path(self) -> SpecPath:
        """Where it stands."""
        field = "memory" if self.kind == MEMORY else self.kind
        return ("budget", field) if self.host is None else ("hosts", self.host, field)

    @property
    def origin(self) -> Origin:
        """The origin of what follows from it."""
        return Derived(APP, "budget") if self.host is None else Written(self.path)

    @property
    def owner(self) -> str:
        """Who has it."""
        return "the budget" if self.host is None else f"host {self.host}"

    def amount(self, amount: float) -> str:
        """So much of it, for people."""
        return f"{size(int(amount))} of memory" if self.kind == MEMORY else counted(amount, self.kind[:-1])

    def plain(self, amount: float) -> str:
        """The same without what it is."""
        return size(int(amount)) if self.kind == MEMORY else figure(amount)


class Bound(NamedTuple):
    """The most slots of one process, the reason, and the origins; `limit` is what bounds them."""

    slots: int
    because: str
    origins: tuple[Origin, ...]
    limit: Limit = Limit.LOAD


class Shape(NamedTuple):
    """How slots become processes: at most `most` slots each, in `pinned` processes or at least `fewest`."""

    most: int
    pinned: int = 0
    fewest: int = 1

    def split(self, slots: int) -> tuple[int, int]:
        """The processes, and the slots of each."""
        processes = self.pinned or max(self.fewest, math.ceil(slots / self.most))
        return processes, min(math.ceil(slots / processes), self.most)


def bound(plan: Plan, worker: Scope, tuned: Parameters) -> Bound:
    """The most slots of one process."""
    shared = pools.pool(plan.text(worker, "pool")).shares_process
    key = "most_slots_shared" if shared else "most_slots"
    bounds = [Bound(getattr(tuned, key), "one process has at most", (tuned.origin(key),))]
    memory = plan.number_if_any(worker, MEMORY)
    if memory is not None:
        each, base = plan.number(worker, "slot_bytes"), plan.number(worker, "base_bytes")
        fitting = max(1, math.floor((memory - base) / each)) if each else tuned.most_slots
        because = f"the memory of one process, at {size(int(each))} a slot, fits"
        origins = tuple(Derived(worker, name) for name in (MEMORY, "base_bytes", "slot_bytes"))
        bounds.append(Bound(fitting, because, origins, Limit.MEMORY))
    declared = plan.number_if_any(worker, "cores")
    if declared is not None and plan.number(worker, "slot_cores") >= 1:
        cores = max(1, math.floor(declared / plan.number(worker, "slot_cores")))
        pins: tuple[Origin, ...] = (Derived(worker, "cores"), Derived(worker, "slot_cores"))
        bounds.append(
            Bound(cores, "each slot computes, and the cores of one process suffice for", pins, Limit.CORES)
        )
    return min(bounds, key=lambda each: each.slots)


def budgets(spec: Workload, plan: Plan) -> dict[Budget, float]:
    """The declared budgets, with their amounts."""
    of_app = plan.get(APP, "budget")
    found = (
        {Budget(kind): float(str(amount)) for kind, amount in of_app.items()}
        if isinstance(of_app, dict)
        else {}
    )
    for name, host in sorted(spec.hosts.items()):
        if host.workers and host.cores is not None:
            found[Budget("cores", name)] = host.cores
        if host.workers and host.memory is not None:
            found[Budget(MEMORY, name)] = host.memory
    return found


def taken(spec: Workload, plan: Plan, worker: Scope, processes: int, each: int) -> dict[Hashable, float]:
    """What processes with so many slots each take of every budget."""
    memory = taken_bytes(plan, worker, each)
    found: dict[Hashable, float] = {
        Budget(kind): amount for kind, amount in taken_by_all(plan, worker, processes, each).items()
    }
    for name, host in spec.hosts.items():
        if count := (host.workers or {}).get(worker.name, 0):
            found[Budget(MEMORY, name)] = count * memory
            # Slots whose tasks wait share the cores of a host.
            if plan.number(worker, "slot_cores") >= 1:
                found[Budget("cores", name)] = count * each * plan.number(worker, "slot_cores")
    return found


def shares(
    spec: Workload,
    plan: Plan,
    wants: Mapping[Scope, tuple[Want, Shape]],
    fixed: Sequence[tuple[Scope, int, int]],
) -> tuple[dict[str, Share], dict[Budget, float]]:
    """The slots of each worker within all budgets; `fixed` workers have pinned processes and slots."""
    found = budgets(spec, plan)
    if not found:
        return {worker.name: Share(want.slots) for worker, (want, _) in wants.items()}, found
    left = dict(found)
    for worker, processes, each in fixed:
        took = taken(spec, plan, worker, processes, each)
        left = {budget: rest - took.get(budget, 0) for budget, rest in left.items()}

    return allocate([*_needs(spec, plan, wants)], left), found


def _needs(spec: Workload, plan: Plan, wants: Mapping[Scope, tuple[Want, Shape]]) -> Iterator[Need]:
    """The needs, most urgent first."""

    def urgency(worker: Scope) -> tuple[float, str]:
        urgent = most_urgent(plan, worker)
        return urgent[0] if urgent else math.inf, worker.name

    for worker in sorted(wants, key=urgency):
        want, shape = wants[worker]

        def costs(slots: int, worker: Scope = worker, shape: Shape = shape) -> Mapping[Hashable, float]:
            return taken(spec, plan, worker, *shape.split(slots))

        least = min(want.least, want.slots)
        yield Need(worker.name, least, max(least, min(want.kept, want.slots)), want.slots, costs)
