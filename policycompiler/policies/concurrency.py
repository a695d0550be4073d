"""How many slots each worker has, in how many processes.

Decides:
    `worker:NAME/concurrency` (slots of one process) and `worker:NAME/replicas`.

Because:
    Celery's default is the number of the machine's cores, which says nothing about the work and is wrong
    in every container. Where rates and run times are declared, the slots are those that the busiest
    minutes keep busy, with room to spare: a queue's wait grows without bound as its slots fill up.
    Elsewhere it is a modest number by the kind of work.

Example:
    tasks:
      shop.mail.send: {latency: interactive, runtime: {p50: 300ms, p99: 300ms}, rate: {mean: 5/s, peak: 40/s}}

    worker:shop.interactive.io/concurrency = 18
    worker:shop.interactive.io/replicas = 1

Refuses:
    PC408 autoscale-order: min is at most max.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope

NAME = "concurrency"

AUTOSCALE_ORDER = error("PC408", "autoscale-order")

BUSY_AT_PEAK = 0.7
"""Above about 70 % busy, waits grow faster than load (M/M/c)."""
FEWEST_SLOTS = 2
"""One slow run must not stop a queue."""
MOST_SLOTS = 32
"""Of one process: each prefork slot is a child of some 20 MB and more; beyond it, another process."""
SLOTS_UNDECLARED = {"io": 4, "cpu": 2}
"""Where no rate is declared: tasks that wait can share a core, tasks that compute cannot."""
REPLICAS = 1
"""One process a worker, unless its slots ask for more."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Slots and processes of every worker that does not pin them."""
    for name, worker in spec.workers.items():
        slots = worker.concurrency
        if slots is not None and slots.min > slots.max:
            message = f"the pool shrinks to {slots.min} slots and grows to {slots.max}: min is at most max"
            yield AUTOSCALE_ORDER.at(("workers", name, "concurrency", "min"), message, help="swap them")
    for scope in plan.scopes("worker"):
        pinned = plan.find(scope, "concurrency") or plan.find(scope, "autoscale")
        if pinned is None:
            tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
            yield from _slots(plan, scope, tasks)
        elif plan.find(scope, "replicas") is None:
            yield Decision(scope, "replicas", REPLICAS, "one process", (Constant("REPLICAS", REPLICAS),))


def _slots(plan: Plan, scope: Scope, tasks: list[Scope]) -> Iterator[Decision]:
    if plan.text(scope, "pool") == "solo":
        yield Decision(scope, "concurrency", 1, "a solo pool has one slot", (Derived(scope, "pool"),))
        slots = 1
        origins: tuple[Origin, ...] = (Derived(scope, "pool"),)
        because = "one process"
    else:
        slots, because, origins = _wanted(plan, tasks)
    replicas = plan.get(scope, "replicas")
    processes = replicas if isinstance(replicas, int) and replicas else max(1, math.ceil(slots / MOST_SLOTS))
    if plan.find(scope, "concurrency") is None:
        yield Decision(scope, "concurrency", math.ceil(slots / processes), because, origins)
    if replicas is None:
        bound = Constant("MOST_SLOTS", MOST_SLOTS)
        why = (
            f"{slots} slots, at most {MOST_SLOTS} in a process" if processes > 1 else "one process is enough"
        )
        yield Decision(scope, "replicas", processes, why, (*origins, bound))


def _wanted(plan: Plan, tasks: list[Scope]) -> tuple[int, str, tuple[Origin, ...]]:
    """Slots of all processes together, why, and from what."""
    load, origins, undeclared = 0.0, [], False
    for task in tasks:
        rate_key = "rate_peak_per_second"
        rate = plan.number_if_any(task, rate_key)
        if rate is None:
            rate_key = "rate_mean_per_second"
            rate = plan.number_if_any(task, rate_key)
        runtime = plan.number_if_any(task, "runtime_mean_seconds")
        if rate is not None and runtime is not None:
            load += rate * runtime
            origins += [Derived(task, rate_key), Derived(task, "runtime_mean_seconds")]
        else:
            undeclared = True
    works = {plan.text(task, "work") for task in tasks} or {"io"}
    kind = "cpu" if works == {"cpu"} else "io"
    needed = max(FEWEST_SLOTS, math.ceil(load / BUSY_AT_PEAK))
    if needed > SLOTS_UNDECLARED[kind] or not undeclared:
        because = (
            f"{load:.3g} busy slots at the peak, kept below {BUSY_AT_PEAK:.0%} busy"
            if load > FEWEST_SLOTS * BUSY_AT_PEAK
            else "hardly anything to do, but one slow run must not stop a queue"
        )
        bounds = (Constant("BUSY_AT_PEAK", BUSY_AT_PEAK), Constant("FEWEST_SLOTS", FEWEST_SLOTS))
        if tasks:
            return needed, because, (*origins, *bounds)
    modest = Constant(f"SLOTS_UNDECLARED[{kind}]", SLOTS_UNDECLARED[kind])
    verb = "compute" if kind == "cpu" else "wait for others"
    return (
        SLOTS_UNDECLARED[kind],
        f"a modest number for tasks that {verb}: not all rates are declared",
        (modest,),
    )
