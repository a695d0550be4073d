"""Whether each host has room for its workers, and every worker has a host.

Decides:
    Nothing.

Because:
    No worker consumes the queues of a worker that has no host. If tasks compute in more slots than a host has
    cores, all of them are slow. If workers need more memory than a host has, the kernel kills processes.
    Operators still choose which units a host starts: the generated target starts all of them
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
    PC447 host-memory-short: place fewer worker processes on the host, or lower their memory budgets.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], memory: 3GiB, replicas: 2}}
            hosts: {one: {memory: 4GiB, workers: {all: 2}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], memory: 2GiB, replicas: 2}}
            hosts: {one: {memory: 4GiB, workers: {all: 2}}}
    PC448 host-cores-short: place fewer worker processes on the host, or give them fewer slots.
        fires:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {all: {queues: ["*"], concurrency: 8}}
            hosts: {one: {cores: 4, workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {all: {queues: ["*"], concurrency: 4}}
            hosts: {one: {cores: 4, workers: {all: 1}}}
    PC449 host-replicas-differ: place as many worker processes as the worker has replicas.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], replicas: 2}}
            hosts: {one: {workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], replicas: 2}}
            hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}
    PC453 host-worker-unplaced: add the worker to a host if `hosts:` should list every worker.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1, rest: 1}}}
    PC450 beat-host-unknown: correct the name of the host, or add it under `hosts:`.
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
from policycompiler.quantities import size

NAME = "hosts"

HOST_WORKER_UNKNOWN = error("PC446", "host-worker-unknown")
HOST_MEMORY_SHORT = warning("PC447", "host-memory-short")
HOST_CORES_SHORT = warning("PC448", "host-cores-short")
HOST_REPLICAS_DIFFER = warning("PC449", "host-replicas-differ")
HOST_WORKER_UNPLACED = info("PC453", "host-worker-unplaced")
BEAT_HOST_UNKNOWN = warning("PC450", "beat-host-unknown")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check names, then budgets, then counts."""
    if not spec.hosts:
        return
    workers = {worker.name: worker for worker in plan.scopes("worker")}
    for host, declared in spec.hosts.items():
        path: SpecPath = ("hosts", host)
        for name in declared.workers or {}:
            if name not in workers:
                message = (
                    f"host {host} runs worker {name}, which does not exist; workers: {', '.join(workers)}"
                )
                where = (*path, "workers", name)
                yield HOST_WORKER_UNKNOWN.at(where, message, help=did_you_mean(name, workers), at_key=True)
        placed = {workers[name]: count for name, count in (declared.workers or {}).items() if name in workers}
        yield from _memory(plan, host, declared.memory, placed)
        yield from _cores(plan, host, declared.cores, placed)
    yield from _counts(spec, plan, workers)
    beat = spec.beat and spec.beat.host
    if beat and beat not in spec.hosts:
        message = f"beat runs on {beat}, which `hosts:` does not list; hosts: {', '.join(spec.hosts)}"
        help_text = did_you_mean(beat, spec.hosts)
        yield BEAT_HOST_UNKNOWN.at(("beat", "host"), message, help=help_text)


def _memory(plan: Plan, host: str, budget: float | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    taken = sum((plan.number_if_any(worker, "memory_bytes") or 0) * count for worker, count in placed.items())
    if budget is not None and taken > budget:
        message = (
            f"the workers of host {host} may take {size(int(taken))}, "
            f"but the host has {size(int(budget))} of memory"
        )
        help_text = f"place fewer worker processes on host {host}, or lower their memory budgets"
        yield HOST_MEMORY_SHORT.at(("hosts", host, "memory"), message, help=help_text)


def _cores(plan: Plan, host: str, cores: int | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    """A slot needs a core only if all tasks of its worker compute."""
    computing = {
        worker: int(_slots(plan, worker)) * count
        for worker, count in placed.items()
        if _computes(plan, worker)
    }
    taken = sum(computing.values())
    if cores is not None and taken > cores:
        names = ", ".join(sorted(worker.name for worker in computing))
        message = f"{taken} slots compute at once on host {host} ({names}), but the host has {cores} cores"
        help_text = f"place fewer worker processes on host {host}, or give them fewer slots"
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
    """If any host lists its workers, the hosts should list all workers."""
    placing = {host: declared.workers for host, declared in spec.hosts.items() if declared.workers}
    for name, worker in workers.items() if placing else ():
        counts = {host: placed[name] for host, placed in placing.items() if name in placed}
        replicas, placed = int(plan.number(worker, "replicas")), sum(counts.values())
        if placed == replicas:
            continue
        processes = f"{replicas} process{'es' if replicas != 1 else ''}"
        if not counts:
            message = f"no host runs worker {name} ({processes}), which consumes {_queues(plan, worker)}"
            help_text = f"add worker {name} to a host if `hosts:` should list every worker"
            yield HOST_WORKER_UNPLACED.at(("hosts",), message, help=help_text)
            continue
        message = f"worker {name} has {processes}, but the hosts run {placed} (on {', '.join(counts)})"
        written = plan.written(worker, "replicas")
        related = (Related(written, f"{replicas} replicas"),) if written else ()
        help_text = f"place {processes} on the hosts, or pin `replicas: {placed}`"
        path: SpecPath = ("hosts", next(iter(counts)), "workers", name)
        yield HOST_REPLICAS_DIFFER.at(path, message, help=help_text, related=related)


def _queues(plan: Plan, worker: Scope) -> str:
    return ", ".join(plan.texts(worker, "queues"))
