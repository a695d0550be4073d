"""What one worker process asks of the machine that runs it in a container.

Decides:
    With an image: `worker:NAME/cpu_request_cores`, `memory_request_bytes`; if the workload declares a budget
    `cpu_limit_cores`, `memory_limit_bytes`; and `alive_probe`.

Because:
    A platform places containers by their requests. Above the memory limit the kernel kills a process, and
    with it the runs in it. So only a declared budget (`memory`, `cores`), or the declared memory of every
    task of a worker, becomes a limit. A limit on cores slows a worker down although cores are free, and
    Docker refuses a container with more cores than the machine has
    (https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/).

    A worker whose main loop stops while a task runs cannot show that it is alive. So a solo worker and a
    pool class of the user have no probe.

Example:
    deploy: {image: "registry.example/shop:1.4.2"}
    tasks: {shop.reports.yearly: {queue: reports, work: cpu}}
    workers: {reports: {concurrency: 4, memory: 2GiB}}

    worker:reports/cpu_request_cores = 4
    worker:reports/memory_limit_bytes = 2147483648
    worker:reports/alive_probe = true

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
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope, Written
from policycompiler.policies.policy import parameter

NAME = "resources"

MEMORY = "memory_bytes"
_MIB = 1024 * 1024
LEAST_CORES = 0.1
"""For a worker with few slots: its parent process works too."""


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
    """Decide requests for every worker, and limits for those with a budget."""
    if plan.find(APP, "image") is None:
        return
    for scope in plan.scopes("worker"):
        yield from _cores(spec, plan, scope, tuned)
        yield from _memory(plan, scope, tuned)
        yield _probe(plan, scope)


def _slots(plan: Plan, worker: Scope) -> tuple[int, str]:
    """The most slots of one process, and the setting that says it."""
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        return max(number for number in bounds.values() if isinstance(number, int)), "autoscale"
    return int(plan.number(worker, "concurrency")), "concurrency"


def _cores(spec: Workload, plan: Plan, worker: Scope, tuned: Parameters) -> Iterator[Decision]:
    written = spec.workers.get(worker.name)
    if written is not None and written.cores is not None:
        origin = Written(("workers", worker.name, "cores"))
        for key in ("cpu_request_cores", "cpu_limit_cores"):
            yield Decision(worker, key, written.cores, "the workload declares the cores", (origin,))
        return
    slots, key = _slots(plan, worker)
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    origins: tuple[Origin, ...] = (Derived(worker, key), *(Derived(task, "work") for task in tasks))
    computing = sum(plan.value(task, "work") == "cpu" for task in tasks)
    if tasks and computing == len(tasks) and pools.pool(plan.text(worker, "pool")).processes:
        yield Decision(worker, "cpu_request_cores", slots, "each slot computes, and needs a core", origins)
        return
    cores = max(LEAST_CORES, 1 if computing else 0, round(slots * tuned.waiting_slot_cores, 3))
    because = "slots whose tasks wait share a core" + (
        ", and tasks that compute need one" if computing else ""
    )
    share = parameter(NAME, "waiting_slot_cores", tuned.waiting_slot_cores)
    yield Decision(worker, "cpu_request_cores", cores, because, (*origins, share))


def _memory(plan: Plan, worker: Scope, tuned: Parameters) -> Iterator[Decision]:
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    declared = [task for task in tasks if plan.find(task, MEMORY)]
    slots, key = _slots(plan, worker)
    apart = pools.pool(plan.text(worker, "pool")).own_memory
    run = max((plan.number(task, MEMORY) for task in declared), default=0)
    idle = tuned.child_mib * _MIB if apart else 0
    needed = int(tuned.parent_mib * _MIB + slots * (idle + run))
    origins: tuple[Origin, ...] = (
        Derived(worker, key),
        *(Derived(task, MEMORY) for task in declared),
        parameter(NAME, "parent_mib", tuned.parent_mib),
        parameter(NAME, "child_mib", tuned.child_mib),
    )
    pinned = plan.find(worker, MEMORY)
    if pinned is not None:
        for name in ("memory_request_bytes", "memory_limit_bytes"):
            budget: tuple[Origin, ...] = (Derived(worker, MEMORY),)
            yield Decision(worker, name, pinned.value, "the workload declares the memory budget", budget)
        return
    because = "the parent process, and in each slot the largest declared run"
    yield Decision(worker, "memory_request_bytes", needed, because, origins)
    child_kib = plan.number_if_any(worker, "max_memory_per_child")
    if tasks and len(declared) == len(tasks) and apart:
        child = max((child_kib or 0) * 1024, run + idle)
        limit = int(2 * tuned.parent_mib * _MIB + slots * (child + run))
        because = (
            "the memory of every task is declared: twice the parent process, and in each slot one more run "
            "in a child process just before it is replaced"
        )
        if child_kib is not None:
            origins = (*origins, Derived(worker, "max_memory_per_child"))
        yield Decision(worker, "memory_limit_bytes", limit, because, origins)


def _probe(plan: Plan, worker: Scope) -> Decision:
    pool = plan.text(worker, "pool")
    probed = pool in pools.POOLS and pools.pool(pool).answers
    because = (
        "the main loop of the pool continues while tasks run"
        if probed
        else "the main loop may stop while a task runs, and a probe would kill the run"
    )
    return Decision(worker, "alive_probe", probed, because, (Derived(worker, "pool"),))
