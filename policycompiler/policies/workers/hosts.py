"""Whether each machine can hold the workers that are placed on it, and all workers are placed.

Decides:
    Nothing.

Because:
    A worker that is placed on no machine leaves its queues without a consumer; more processes that compute
    than a machine has cores, or more memory than it has, make all of them slow or have them killed. Which
    units a machine starts is still its operator's choice: the generated target starts them all
    (https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html).

Example:
    tasks: {shop.a: {queue: q}}
    workers: {q: {memory: 4GiB}}
    hosts: {worker-1: {memory: 4GiB, workers: {q: 1, r: 1}}}

    refuses host-worker-unknown
    refuses host-worker-unplaced
    refuses not-yet-honoured

Refuses:
    PC446 host-worker-unknown: correct the name of the worker.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"]}}
            hosts: {one: {workers: {all: 1, al: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"]}}
            hosts: {one: {workers: {all: 1}}}
    PC447 host-memory-short: place fewer processes there, or lower their budgets.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], memory: 3GiB, replicas: 2}}
            hosts: {one: {memory: 4GiB, workers: {all: 2}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], memory: 2GiB, replicas: 2}}
            hosts: {one: {memory: 4GiB, workers: {all: 2}}}
    PC448 host-cores-short: place fewer processes there, or give them fewer slots.
        fires:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {all: {queues: ["*"], concurrency: 8}}
            hosts: {one: {cores: 4, workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {all: {queues: ["*"], concurrency: 4}}
            hosts: {one: {cores: 4, workers: {all: 1}}}
    PC449 host-replicas-differ: place as many processes as there are.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], replicas: 2}}
            hosts: {one: {workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], replicas: 2}}
            hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}
    PC453 host-worker-unplaced: place it, where this list is to be whole.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1, rest: 1}}}
    PC450 beat-host-unknown: correct the name of the machine, or add it under `hosts:`.
        fires:
            tasks: {shop.a: {queue: q}}
            schedules: {s: {task: shop.a, every: 1h}}
            beat: {host: onne}
            hosts: {one: {cores: 4}}
        silent:
            tasks: {shop.a: {queue: q}}
            schedules: {s: {task: shop.a, every: 1h}}
            beat: {host: one}
            hosts: {one: {cores: 4}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, did_you_mean, error, info, warning
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope

NAME = "hosts"

HOST_WORKER_UNKNOWN = error("PC446", "host-worker-unknown")
HOST_MEMORY_SHORT = warning("PC447", "host-memory-short")
HOST_CORES_SHORT = warning("PC448", "host-cores-short")
HOST_REPLICAS_DIFFER = warning("PC449", "host-replicas-differ")
HOST_WORKER_UNPLACED = info("PC453", "host-worker-unplaced")
BEAT_HOST_UNKNOWN = warning("PC450", "beat-host-unknown")

MIB = 2**20


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Names, then budgets, then whether the counts agree."""
    if not spec.hosts:
        return
    workers = {worker.name: worker for worker in plan.scopes("worker")}
    for host, declared in spec.hosts.items():
        path: SpecPath = ("hosts", host)
        for name in declared.workers or {}:
            if name not in workers:
                message = (
                    f"host {host} runs worker {name}, which does not exist; there are: {', '.join(workers)}"
                )
                where = (*path, "workers", name)
                yield HOST_WORKER_UNKNOWN.at(where, message, help=did_you_mean(name, workers), at_key=True)
        placed = {workers[name]: count for name, count in (declared.workers or {}).items() if name in workers}
        yield from _memory(plan, host, declared.memory, placed)
        yield from _cores(plan, host, declared.cores, placed)
    yield from _counts(spec, plan, workers)
    beat = spec.beat and spec.beat.host
    if beat and beat not in spec.hosts:
        message = f"beat runs on {beat}, which is no host; there are: {', '.join(spec.hosts)}"
        help_text = did_you_mean(beat, spec.hosts)
        yield BEAT_HOST_UNKNOWN.at(("beat", "host"), message, help=help_text)


def _memory(plan: Plan, host: str, budget: float | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    taken = sum((plan.number_if_any(worker, "memory_bytes") or 0) * count for worker, count in placed.items())
    if budget is not None and taken > budget:
        message = (
            f"the workers of host {host} may take {taken / MIB:.0f} MiB, and it has {budget / MIB:.0f} MiB"
        )
        help_text = "place fewer processes there, or lower their budgets"
        yield HOST_MEMORY_SHORT.at(("hosts", host, "memory"), message, help=help_text)


def _cores(plan: Plan, host: str, cores: int | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    """Only slots whose every task computes need a core each."""
    computing = {
        worker: int(_slots(plan, worker)) * count
        for worker, count in placed.items()
        if _computes(plan, worker)
    }
    taken = sum(computing.values())
    if cores is not None and taken > cores:
        names = ", ".join(sorted(worker.name for worker in computing))
        message = f"{taken} slots of host {host} compute at once ({names}), and it has {cores} cores"
        help_text = "place fewer processes there, or give them fewer slots"
        yield HOST_CORES_SHORT.at(("hosts", host, "cores"), message, help=help_text)


def _computes(plan: Plan, worker: Scope) -> bool:
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    return bool(tasks) and all(plan.value(task, "work") == "cpu" for task in tasks)


def _slots(plan: Plan, worker: Scope) -> float:
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        return max(number for number in bounds.values() if isinstance(number, int))
    return plan.number(worker, "concurrency")


def _counts(spec: Workload, plan: Plan, workers: dict[str, Scope]) -> Iterator[Diagnostic]:
    """Once machines say which workers they run, they should run all of them."""
    placing = {host: declared.workers for host, declared in spec.hosts.items() if declared.workers}
    for name, worker in workers.items() if placing else ():
        counts = {host: placed[name] for host, placed in placing.items() if name in placed}
        replicas, placed = int(plan.number(worker, "replicas")), sum(counts.values())
        if placed == replicas:
            continue
        processes = f"{replicas} process{'es' if replicas != 1 else ''}"
        if not counts:
            message = f"no host runs worker {name}, of {processes}, which consumes {_queues(plan, worker)}"
            yield HOST_WORKER_UNPLACED.at(
                ("hosts",), message, help="place it, where this list is to be whole"
            )
            continue
        message = f"worker {name} has {processes}, and hosts run {placed} ({', '.join(counts)})"
        written = plan.written(worker, "replicas")
        related = (Related(written, f"{replicas} replicas"),) if written else ()
        help_text = "place as many as there are, or pin `replicas`"
        path: SpecPath = ("hosts", next(iter(counts)), "workers", name)
        yield HOST_REPLICAS_DIFFER.at(path, message, help=help_text, related=related)


def _queues(plan: Plan, worker: Scope) -> str:
    return ", ".join(plan.texts(worker, "queues"))
