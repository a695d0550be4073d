"""The consumers of each queue, the queues of each worker, and the workers of each task, as decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from policycompiler.diagnostics import SpecPath
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Default, Derived, Origin, Parameter, Plan, Scope, Written

BROADCAST = False
"""A task runs once unless its queue is declared as a broadcast."""


def of_queue(
    plan: Plan, scope: Scope, workers: list[str], tasks: list[str], place: SpecPath, *, external: bool
) -> Iterator[Decision]:
    """The consumers of a queue, its tasks, and its kind."""
    from_workers: tuple[Origin, ...] = tuple(Derived(Scope("worker", name), "queues") for name in workers)
    because = "these workers consume it"
    if not workers:
        because = "another app consumes the queue" if external else "no worker of the workload consumes it"
    yield Decision(scope, "workers", [*workers], because, from_workers or (Written(place),))
    routed = [Scope("task", name) for name in tasks if plan.value(Scope("task", name), "queue") == scope.name]
    from_tasks: tuple[Origin, ...] = tuple(Derived(task, "queue") for task in routed)
    because = (
        "these tasks are routed to the queue"
        if len(routed) == len(tasks)
        else "these tasks are routed to the queue, or a publisher may choose it"
    )
    yield Decision(scope, "tasks", [*tasks], because, from_tasks or (Written(place),))
    yield from _kind(plan, scope, place, external=external)


def of_workers(
    spec: Workload, plan: Plan, consumed: dict[str, dict[str, Origin]], sent: dict[str, list[str]]
) -> Iterator[Decision]:
    """The queues of each worker, and the tasks that it runs because of them."""
    queues_of: dict[str, dict[str, Origin]] = {name: {} for name in spec.workers}
    for queue, workers in consumed.items():
        for worker, origin in workers.items():
            queues_of.setdefault(worker, {})[queue] = origin
    for worker, queues in sorted(queues_of.items()):
        scope = Scope("worker", worker)
        origins = tuple(dict.fromkeys(queues[queue] for queue in sorted(queues)))
        origins = origins or (Written(("workers", worker)),)
        because = "the workload lists these queues"
        if isinstance(origins[0], Default):
            because = "the workload names no queue, so the worker consumes all queues of the app"
        elif isinstance(origins[0], Constant):
            because = "no other worker consumes this queue"
        elif isinstance(origins[0], Parameter):
            because = "no other worker consumes these queues, and the policy file allows only a few workers"
        yield Decision(scope, "queues", [*_in_order(spec, worker, queues)], because, origins)
        brought = {name for queue in queues for name in sent.get(queue, [])}
        tasks = sorted(name for name in brought if not plan.value(Scope("task", name), "external"))
        because = "these tasks are sent to the queues of the worker"
        yield Decision(scope, "tasks", [*tasks], because, (Derived(scope, "queues"),))


def _in_order(spec: Workload, worker: str, queues: Iterable[str]) -> list[str]:
    """The queues of a worker as the workload lists them: with some strategies the first ones come first."""
    entry = spec.workers.get(worker)
    listed = (entry.queues if entry else None) or []
    return sorted(queues, key=lambda name: (listed.index(name) if name in listed else len(listed), name))


def of_tasks(plan: Plan, tasks: Iterable[str], consumed: Mapping[str, Iterable[str]]) -> Iterator[Decision]:
    """The workers that run each task."""
    by_queue = {queue: sorted(workers) for queue, workers in consumed.items()}
    for name in tasks:
        task = Scope("task", name)
        queue = plan.text(task, "queue")
        workers = [] if plan.value(task, "external") else by_queue.get(queue, [])
        origins = (Derived(task, "queue"), Derived(Scope("queue", queue), "workers"))
        because = "these workers consume its queue"
        if not workers:
            external = plan.value(task, "external")
            because = (
                "another app runs the task" if external else "no worker of the workload consumes its queue"
            )
        yield Decision(task, "workers", [*workers], because, origins)


def _kind(plan: Plan, scope: Scope, place: SpecPath, *, external: bool) -> Iterator[Decision]:
    """Which app owns the queue, and whether it is a broadcast, if the workload does not declare it."""
    if plan.find(scope, "external") is None:
        because = "another app consumes the queue" if external else "this app consumes the queue"
        yield Decision(scope, "external", external, because, (Written(place),))
    if plan.find(scope, "broadcast") is None:
        because = "each message goes to one worker"
        yield Decision(scope, "broadcast", BROADCAST, because, (Constant("BROADCAST", BROADCAST),))
