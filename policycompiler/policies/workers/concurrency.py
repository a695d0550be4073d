"""The number of slots and of processes of each worker.

Decides:
    `worker:NAME/concurrency` (slots of one worker process) and `worker:NAME/replicas`.

Because:
    Celery's default is the number of cores of the machine. It does not depend on the load, and it is wrong
    in every container. With declared rates and run times, the slots follow from the load at peak, plus a
    reserve. Waits grow without bound as slots fill up. Otherwise the number of slots is a modest one.

    With `concurrency: auto`, or a variable such as `${CELERY_CONCURRENCY}`, the machine decides. Then no file
    has a number, and policies assume the cores of the declared hosts, or a parameter.

    If the memory of a worker and of its tasks is declared, a worker process has only as many slots as fit.
    Autoscaling works with prefork only. A thread pool cannot grow, and its worker exits with an error when it
    must (https://docs.celeryq.dev/en/stable/userguide/workers.html#autoscaling).

Example:
    tasks:
      shop.mail.send: {latency: interactive, runtime: {p50: 300ms, p99: 300ms}, rate: {mean: 5/s, peak: 40/s}}

    worker:shop.interactive.io/concurrency = 18
    worker:shop.interactive.io/replicas = 1

Refuses:
    PC322 autoscale-off-prefork: pin a number of slots, or use prefork.
        fires:
            queues: {q: {}}
            workers: {q: {pool: threads, concurrency: {min: 2, max: 8}}}
        silent:
            queues: {q: {}}
            workers: {q: {pool: threads, concurrency: 8}}
    PC408 autoscale-order: set `min` to at most `max`.
        fires:
            queues: {q: {}}
            workers: {q: {concurrency: {min: 8, max: 2}}}
        silent:
            queues: {q: {}}
            workers: {q: {concurrency: {min: 2, max: 8}}}
    PC642 absurd-capacity: correct the rate or the run time, or split the load among several workers.
        fires: tasks: {shop.a: {rate: 1000/s, runtime: {p50: 3s, p99: 3s}}}
        silent: tasks: {shop.a: {rate: 1000/m, runtime: {p50: 3s, p99: 3s}}}

Parameters:
    `busy_at_peak`: the share of a worker's slots that is busy at peak; 0.7.
    `fewest_slots`: the fewest slots of a worker whose tasks declare rates; 2.
    `most_slots`: the most slots of one worker process; 32.
    `slots_io`: the slots of a worker whose tasks wait, if not all rates are declared; 4.
    `slots_cpu`: the slots of a worker whose tasks compute, if not all rates are declared; 2.
    `assumed_slots`: the slots that policies assume if the machine or a variable decides them; 4.
    `many_processes`: a worker that needs more processes probably has a wrong declared number; 100.
    `many_slots`: the same for the slots of one process, if replicas are pinned; 1000.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.pools import fixed_size
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import (
    APP,
    MOST_PROCESSES,
    Constant,
    Decision,
    Default,
    Derived,
    Origin,
    Plan,
    Scope,
    Written,
)
from policycompiler.policies.policy import parameter
from policycompiler.quantities import size as size_text

NAME = "concurrency"

AUTOSCALE_OFF_PREFORK = error("PC322", "autoscale-off-prefork")
AUTOSCALE_ORDER = error("PC408", "autoscale-order")
ABSURD_CAPACITY = warning("PC642", "absurd-capacity", Profile.MINIMAL)

MEMORY = "memory_bytes"
"""The memory of a worker process, and of one run of a task."""
PARENT_BYTES = pools.PARENT_BYTES
"""The parent process of the pool."""
REPLICAS = 1
"""One worker process, unless its slots require more."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    busy_at_peak: Annotated[float, Field(ge=0.05, le=0.95)] = Field(
        0.7,
        description="share of the slots busy at peak; above it, waits grow faster than the load",
    )
    fewest_slots: Annotated[int, Field(ge=1, le=1000)] = Field(
        2, description="fewest slots if rates are declared, because one slow run must not block a queue"
    )
    most_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        32, description="most slots of one worker process; a prefork slot is a child of 20 MB or more"
    )
    slots_io: Annotated[int, Field(ge=1, le=10000)] = Field(
        4, description="slots if not all rates are declared; tasks that wait can share a core"
    )
    slots_cpu: Annotated[int, Field(ge=1, le=10000)] = Field(
        2, description="slots if not all rates are declared; tasks that compute cannot share a core"
    )
    assumed_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        4, description="slots that policies assume if the machine or an environment variable decides them"
    )
    many_processes: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = Field(
        100,
        description="a worker that needs more processes probably has a wrong declared number",
    )
    many_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        1000, description="with pinned replicas, more slots per process suggest a wrong declared number"
    )


class _Slots(NamedTuple):
    """A number of slots, the reason, and the origins."""

    number: int
    because: str
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide slots and processes of every worker that does not pin them."""
    yield from _autoscaling(spec, plan)
    for scope in plan.scopes("worker"):
        yield from _placed(spec, plan, scope)
        pinned = plan.find(scope, "concurrency") or plan.find(scope, "autoscale")
        left = plan.as_is(APP) and scope.name in spec.workers
        if pinned is None and (left or plan.find(scope, "concurrency_source")):
            yield _assumed(spec, plan, scope, tuned)
        elif pinned is None:
            yield from _slots(plan, scope, tuned)
            continue
        if plan.find(scope, "replicas") is None:
            yield Decision(
                scope,
                "replicas",
                REPLICAS,
                "one worker process has all slots",
                (Constant("REPLICAS", REPLICAS),),
            )


def _placed(spec: Workload, plan: Plan, scope: Scope) -> Iterator[Decision]:
    """The processes that the hosts run, unless the worker pins a number."""
    placed = {
        host: count
        for host, declared in sorted(spec.hosts.items())
        if (count := (declared.workers or {}).get(scope.name, 0))
    }
    if placed and plan.find(scope, "replicas") is None:
        origins = tuple(Written(("hosts", host, "workers", scope.name)) for host in placed)
        processes = sum(placed.values())
        yield Decision(scope, "replicas", processes, "the hosts run this many processes", origins)


def _autoscaling(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    for name, worker in spec.workers.items():
        slots, path = worker.concurrency, ("workers", name, "concurrency")
        if slots is None or slots.min == slots.max:
            continue
        if slots.min > slots.max:
            message = f"autoscale `min` is {slots.min} slots, more than `max` with {slots.max}"
            yield AUTOSCALE_ORDER.at((*path, "min"), message, help="swap `min` and `max`")
    yield from as_findings(fixed_size(plan), AUTOSCALE_OFF_PREFORK)


def _assumed(spec: Workload, plan: Plan, scope: Scope, tuned: Parameters) -> Decision:
    """The slots for policies if a machine or an environment decides them; no file has the number."""
    source = plan.find(scope, "concurrency_source")
    origins: tuple[Origin, ...] = (Derived(scope, "concurrency_source"),)
    if source is None:
        origins = (Default("--concurrency", plan.text(APP, "celery_version")),)
    if not pools.pool(plan.text(scope, "pool")).slots:
        because = f"a {plan.text(scope, 'pool')} pool has one slot"
        return Decision(scope, "concurrency", 1, because, (*origins, Derived(scope, "pool")))
    by_cores = source is None or not str(source.value).startswith("${")
    cores = [
        (host.cores, Written(("hosts", name, "cores")))
        for name, host in sorted(spec.hosts.items())
        if host.cores is not None and scope.name in (host.workers or {})
    ]
    if by_cores and cores:
        number, origin = min(cores)
        because = "the worker has one slot for each core of its machine"
        return Decision(scope, "concurrency", number, because, (*origins, origin))
    decides = (
        "the machine of the worker decides the number" if by_cores else "an environment variable decides it"
    )
    because = f"{decides}, and policies assume {_count(tuned.assumed_slots)}"
    assumed = parameter(NAME, "assumed_slots", tuned.assumed_slots)
    return Decision(scope, "concurrency", tuned.assumed_slots, because, (*origins, assumed))


def _slots(plan: Plan, scope: Scope, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    kind = plan.text(scope, "pool")
    if not pools.pool(kind).slots:
        wanted = _Slots(1, f"a {kind} pool has one slot", (Derived(scope, "pool"),))
    else:
        wanted = _wanted(plan, [Scope("task", name) for name in plan.texts(scope, "tasks")], tuned)
    bound = _Slots(
        tuned.most_slots, "one process has at most", (parameter(NAME, "most_slots", tuned.most_slots),)
    )
    fitting = _fitting(plan, scope)
    if fitting is not None and fitting.number < bound.number:
        bound = fitting
    replicas = plan.get(scope, "replicas")
    pinned = replicas if isinstance(replicas, int) and replicas else 0
    processes = pinned or math.ceil(wanted.number / bound.number)
    slots = _Slots(math.ceil(wanted.number / processes), wanted.because, wanted.origins)
    if fitting is not None and slots.number > fitting.number:
        slots = _Slots(fitting.number, f"{fitting.because} {_count(fitting.number)}", fitting.origins)
    yield Decision(scope, "concurrency", *slots)
    if replicas is None and processes > tuned.many_processes:
        told = f"{processes:,} processes with {slots.number:,} slots each"
        yield _absurd(plan, scope, told, cut=processes > MOST_PROCESSES)
        processes = min(processes, MOST_PROCESSES)
    elif pinned and slots.number > tuned.many_slots:
        yield _absurd(plan, scope, f"{slots.number:,} slots in each process")
    if replicas is None:
        why = "one worker process has enough slots"
        if processes > 1:
            why = f"the load needs {_count(wanted.number)}, and {bound.because} {_count(bound.number)}"
        yield Decision(scope, "replicas", processes, why, (*wanted.origins, *bound.origins))


def _count(slots: int) -> str:
    return f"{slots} slot{'s' if slots != 1 else ''}"


def _absurd(plan: Plan, worker: Scope, needs: str, *, cut: bool = False) -> Diagnostic:
    """The finding that the declared load needs an absurd capacity, at the task with the largest load."""
    busy = {name: _busy(plan, Scope("task", name))[0] for name in plan.texts(worker, "tasks")}
    most = max(busy, key=lambda name: (busy[name] or 0, name))
    message = f"worker {worker.name} needs {needs}: {most} keeps {busy[most] or 0:,.0f} slots busy at peak"
    if cut:
        message += f"; a plan has at most {MOST_PROCESSES:,} processes for each worker"
    path: SpecPath = ("tasks", most, "rate")
    related = (Related(("tasks", most, "runtime"), "its run time"),)
    help_text = f"check the rate and the run time of {most}, or split the load among several workers"
    return ABSURD_CAPACITY.at(path, message, help=help_text, related=related)


def _busy(plan: Plan, task: Scope) -> tuple[float | None, list[Origin]]:
    """Slots that a task keeps busy at peak, or None if not declared; and the origins of the number."""
    key = "rate_peak_per_second"
    if plan.number_if_any(task, key) is None:
        key = "rate_mean_per_second"
    rate, runtime = plan.number_if_any(task, key), plan.number_if_any(task, "runtime_mean_seconds")
    if rate is None or runtime is None:
        return None, []
    return rate * runtime, [Derived(task, key), Derived(task, "runtime_mean_seconds")]


def _fitting(plan: Plan, scope: Scope) -> _Slots | None:
    """How many runs of the largest task fit into the memory of one prefork worker process, at least one."""
    tasks = plan.texts(scope, "tasks")
    declared = [(size, name) for name in tasks if (size := plan.number_if_any(Scope("task", name), MEMORY))]
    budget = plan.number_if_any(scope, MEMORY)
    if budget is None or not declared or not pools.pool(plan.text(scope, "pool")).processes:
        return None
    largest, name = max(declared)
    number = max(1, math.floor((budget - PARENT_BYTES) / largest))
    because = f"the memory of one process, at {size_text(int(largest))} a run, fits"
    task = Derived(Scope("task", name), MEMORY)
    return _Slots(
        number,
        because,
        (Derived(scope, MEMORY), task, Constant("PARENT_BYTES", PARENT_BYTES)),
    )


def _wanted(plan: Plan, tasks: list[Scope], tuned: Parameters) -> _Slots:
    """Slots of all worker processes together."""
    load, origins, undeclared = 0.0, list[Origin](), False
    for task in tasks:
        busy_slots, of_task = _busy(plan, task)
        load += busy_slots or 0
        origins += of_task
        undeclared = undeclared or busy_slots is None
    busy, fewest = tuned.busy_at_peak, tuned.fewest_slots
    computes = bool(tasks) and {plan.text(task, "work") for task in tasks} == {"cpu"}
    modest = tuned.slots_cpu if computes else tuned.slots_io
    needed = max(fewest, math.ceil(load / busy))
    if tasks and (needed > modest or not undeclared):
        because = (
            f"the load keeps {load:.3g} slots busy at peak, and at most {busy:.0%} of all slots may be busy"
            if load > fewest * busy
            else f"the load is small, and with {fewest} slots one slow run does not block a queue"
        )
        bounds = (parameter(NAME, "busy_at_peak", busy), parameter(NAME, "fewest_slots", fewest))
        return _Slots(needed, because, (*origins, *bounds))
    verb = "compute" if computes else "wait for other systems"
    because = f"not all rates are declared, and {modest} slots are a safe number for tasks that {verb}"
    return _Slots(modest, because, (parameter(NAME, "slots_cpu" if computes else "slots_io", modest),))
