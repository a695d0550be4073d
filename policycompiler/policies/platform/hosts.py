"""Which host runs which processes, and whether it has room for them.

Decides:
    If a host lists workers: `host:NAME/workers`, `beat`, and where declared `cores` and `memory_bytes`; and
    `beat/host`, if the workload does not name it.

Because:
    Units and programs are emitted for each host apart, so an operator copies one folder and starts one
    target. Exactly one beat must run: if the workload does not name its host, the first one runs it. A
    worker without a host stays outside of the folders, so nobody starts it by accident, and nobody forgets
    it.

    If tasks compute in more slots than a host has cores, all of them are slow. If workers need more memory
    than a host has, the kernel kills processes
    (https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html).

Example:
    tasks: {shop.a: {queue: q}}
    workers: {all: {queues: ["*"], memory: 2GiB}}
    schedules: {s: {task: shop.a, every: 1h}}
    hosts: {worker-1: {memory: 4GiB, workers: {all: 1}}, worker-2: {workers: {all: 1}}}

    host:worker-1/workers = {"all": 1}
    host:worker-1/beat = true
    host:worker-2/beat = false
    worker:all/replicas = 2
    refuses beat-host-undecided

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
    PC453 host-worker-unplaced: add the worker to a host; its unit is in no folder of a host.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {}, rest: {queues: [shop.*]}}
            hosts: {one: {workers: {q: 1, rest: 1}}}
    PC963 beat-host-undecided: name the host of beat.
        fires:
            workers: {all: {queues: ["*"]}}
            schedules: {s: {task: shop.a, every: 1h}}
            tasks: {shop.a: {queue: q}}
            hosts: {one: {workers: {all: 1}}}
        silent:
            workers: {all: {queues: ["*"]}}
            schedules: {s: {task: shop.a, every: 1h}}
            tasks: {shop.a: {queue: q}}
            beat: {host: one}
            hosts: {one: {workers: {all: 1}}}
    PC108 not-yet-honoured: list the workers of each host, or remove `hosts`.
        fires: hosts: {one: {cores: 4}}
        silent:
            tasks: {shop.a: {queue: q}}
            hosts: {one: {cores: 4, workers: {q: 1}}}
    PC967 host-name-taken: rename the host.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"]}}
            hosts: {one: {workers: {all: 1}}, One: {workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"]}}
            hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}
    PC965 host-node-names-equal: write `%h` in the node name, or place the worker on one host.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], node_name: "all@fixed"}}
            hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {all: {queues: ["*"], node_name: "all@%h"}}
            hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}
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

from policycompiler.diagnostics import (
    Diagnostic,
    Related,
    SpecPath,
    did_you_mean,
    error,
    fatal,
    info,
    warning,
)
from policycompiler.model import Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Plan, Scope, Written
from policycompiler.plan.lines import Limit
from policycompiler.plan.node_names import has_host
from policycompiler.plan.processes import slots_of, taken_bytes
from policycompiler.quantities import counted, size

NAME = "hosts"

HOST_WORKER_UNKNOWN = error("PC446", "host-worker-unknown")
HOST_MEMORY_SHORT = warning("PC447", "host-memory-short")
HOST_CORES_SHORT = warning("PC448", "host-cores-short")
HOST_REPLICAS_DIFFER = warning("PC449", "host-replicas-differ")
HOST_WORKER_UNPLACED = warning("PC453", "host-worker-unplaced")
BEAT_HOST_UNKNOWN = warning("PC450", "beat-host-unknown")
BEAT_HOST_UNDECIDED = warning("PC963", "beat-host-undecided")
NOT_YET_HONOURED = info("PC108", "not-yet-honoured")
HOST_NODE_NAMES_EQUAL = warning("PC965", "host-node-names-equal")
HOST_NAME_TAKEN = fatal("PC967", "host-name-taken")

FIRST_HOST = "the first host by name"
_UNSIZED = (Limit.PINNED, Limit.POOL, Limit.ASSUMED)


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Check names, then budgets, then counts; then place what runs."""
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
    if any(host.workers for host in spec.hosts.values()):
        yield from _taken(spec, plan)
        yield from _equal_names(spec, plan)
        yield from _placed(spec, plan)
    else:
        message = "no host lists workers, so the outputs are not split by host"
        help_text = "write `hosts: {NAME: {workers: {WORKER: 1}}}`, or remove `hosts`"
        yield NOT_YET_HONOURED.at(("hosts",), message, help=help_text, at_key=True)


def _taken(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Hosts whose folders some file systems cannot distinguish from others, or from files beside them."""
    service = plan.text(APP, "service")
    files = (f"{service}.conf", f"{service}-celery.target", f"{service}-beat.service")
    taken = {name.casefold(): f"the file {name}" for name in files}
    beat = spec.beat and spec.beat.host
    outside = [beat] if beat and beat not in spec.hosts else []
    for name in (*spec.hosts, *outside):
        other = taken.setdefault(name.casefold(), f"the folder of host {name}")
        if other != f"the folder of host {name}":
            message = f"the folder of host {name} would have the name of {other}, ignoring case"
            path: SpecPath = ("hosts", name) if name in spec.hosts else ("beat", "host")
            yield HOST_NAME_TAKEN.at(path, message, help="rename the host", at_key=name in spec.hosts)


def _placed(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """What runs on each host."""
    beat = plan.get(BEAT, "host")
    if plan.scopes("beat") and beat is None:
        beat = min(spec.hosts)
        because = "beat must run on exactly one host, and the workload names none"
        origins = (Written(("hosts", beat)), Constant("FIRST_HOST", FIRST_HOST))
        yield Decision(BEAT, "host", beat, because, origins)
        message = f"no `beat.host`: beat runs on {beat}, {FIRST_HOST}"
        yield BEAT_HOST_UNDECIDED.at(("hosts",), message, help=f"write `beat: {{host: {beat}}}`", at_key=True)
    declared = "the workload declares it"
    for name in sorted({*spec.hosts, *([str(beat)] if beat else [])}):
        scope, host = Scope("host", name), spec.hosts.get(name)
        workers = {
            worker.name: count
            for worker in plan.scopes("worker")
            if host is not None and (count := (host.workers or {}).get(worker.name, 0))
        }
        path: SpecPath = ("hosts", name) if host is not None else ("beat", "host")
        yield Decision(scope, "workers", {**workers}, declared, (Written(path),))
        if plan.scopes("beat"):
            because = "exactly one host runs beat"
            yield Decision(scope, "beat", name == beat, because, (Derived(BEAT, "host"),))
        if host is not None and host.cores is not None:
            yield Decision(scope, "cores", host.cores, declared, (Written((*path, "cores")),))
        if host is not None and host.memory is not None:
            yield Decision(scope, "memory_bytes", host.memory, declared, (Written((*path, "memory")),))


def _equal_names(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each host counts its processes from 1, so names without the host are equal."""
    for worker in plan.scopes("worker"):
        hosts = [name for name, host in spec.hosts.items() if (host.workers or {}).get(worker.name)]
        name = str(plan.get(worker, "node_name", ""))
        if len(hosts) > 1 and plan.get(worker, "node_name_is_whole") and not has_host(name):
            message = f"worker {worker.name} has the node name {name} on each of the hosts {', '.join(hosts)}"
            help_text = "write `%h` after the `@`: it is the name of the host"
            yield HOST_NODE_NAMES_EQUAL.at(("workers", worker.name, "node_name"), message, help=help_text)


def _memory(plan: Plan, host: str, budget: float | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    # Slots that a policy chose follow from the estimates, so these count too.
    chosen = any(str(plan.get(worker, "sized_by")) not in _UNSIZED for worker in placed)
    each = {worker: _bytes(plan, worker) for worker in placed}
    if chosen:
        each = {worker: taken_bytes(plan, worker, int(slots_of(plan, worker))) for worker in placed}
    taken = sum(each[worker] * count for worker, count in placed.items())
    if budget is not None and taken > budget:
        message = (
            f"the workers of host {host} may take {size(int(taken))}, "
            f"but the host has {size(int(budget))} of memory"
        )
        help_text = (
            f"place fewer worker processes on host {host}, lower their memory budgets, or pin fewer slots"
        )
        yield HOST_MEMORY_SHORT.at(("hosts", host, "memory"), message, help=help_text)


def _bytes(plan: Plan, worker: Scope) -> float:
    """The memory that one process may take: its budget, or that of its declared runs."""
    budget = plan.number_if_any(worker, "memory_bytes")
    if budget is not None:
        return budget
    runs = (plan.number_if_any(Scope("task", name), "memory_bytes") for name in plan.texts(worker, "tasks"))
    return slots_of(plan, worker) * max((run for run in runs if run), default=0)


def _cores(plan: Plan, host: str, cores: int | None, placed: dict[Scope, int]) -> Iterator[Diagnostic]:
    """A slot needs a core only if all tasks of its worker compute."""
    computing = {
        worker: int(slots_of(plan, worker)) * count
        for worker, count in placed.items()
        if _computes(plan, worker)
    }
    taken = sum(computing.values())
    if cores is not None and taken > cores:
        names = ", ".join(sorted(worker.name for worker in computing))
        message = (
            f"{counted(taken, 'slot')} compute at once on host {host} ({names}), but the host has "
            f"{counted(cores, 'core')}"
        )
        help_text = f"place fewer worker processes on host {host}, or give them fewer slots"
        yield HOST_CORES_SHORT.at(("hosts", host, "cores"), message, help=help_text)


def _computes(plan: Plan, worker: Scope) -> bool:
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    return bool(tasks) and all(plan.value(task, "work") == "cpu" for task in tasks)


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
            help_text = f"add worker {name} to a host; its unit and its program are in no folder of a host"
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
