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
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope
from policycompiler.plan.processes import process_bytes, process_cores, slots_of

NAME = "container-resources"

MEMORY = "memory_bytes"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Decide requests for every worker, and limits for those with a budget."""
    del spec
    if plan.find(APP, "image") is None:
        return
    for worker in plan.scopes("worker"):
        yield from _cores(plan, worker)
        yield from _memory(plan, worker)
        yield _probe(plan, worker)


def _slots(plan: Plan, worker: Scope) -> Origin:
    """The setting with the most slots of one process."""
    return Derived(worker, "autoscale" if plan.find(worker, "autoscale") else "concurrency")


def _cores(plan: Plan, worker: Scope) -> Iterator[Decision]:
    declared = plan.find(worker, "cores")
    if declared is not None:
        origin = Derived(worker, "cores")
        for key in ("cpu_request_cores", "cpu_limit_cores"):
            yield Decision(worker, key, declared.value, "the workload declares the cores", (origin,))
        return
    origins: tuple[Origin, ...] = (_slots(plan, worker), Derived(worker, "slot_cores"))
    cores = process_cores(plan, worker, int(slots_of(plan, worker)))
    because = plan.setting(worker, "slot_cores").because
    if any(plan.value(Scope("task", name), "work") == "cpu" for name in plan.texts(worker, "tasks")):
        origins = (*origins, Derived(worker, "tasks"))
        if plan.number(worker, "slot_cores") < 1:
            because = f"{because}, and tasks that compute need one"
    yield Decision(worker, "cpu_request_cores", cores, because, origins)


def _memory(plan: Plan, worker: Scope) -> Iterator[Decision]:
    pinned = plan.find(worker, MEMORY)
    if pinned is not None:
        for name in ("memory_request_bytes", "memory_limit_bytes"):
            budget: tuple[Origin, ...] = (Derived(worker, MEMORY),)
            yield Decision(worker, name, pinned.value, "the workload declares the memory budget", budget)
        return
    slots = int(slots_of(plan, worker))
    origins: tuple[Origin, ...] = (
        _slots(plan, worker),
        Derived(worker, "base_bytes"),
        Derived(worker, "slot_bytes"),
    )
    because = "the parent process, and in each slot the largest declared run"
    yield Decision(worker, "memory_request_bytes", process_bytes(plan, worker, slots), because, origins)
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    runs = [size for task in tasks if (size := plan.number_if_any(task, MEMORY))]
    if tasks and len(runs) == len(tasks) and pools.pool(plan.text(worker, "pool")).own_memory:
        child_kib = plan.number_if_any(worker, "max_memory_per_child")
        child = max((child_kib or 0) * 1024, plan.number(worker, "slot_bytes"))
        limit = int(2 * plan.number(worker, "base_bytes") + slots * (child + max(runs)))
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
