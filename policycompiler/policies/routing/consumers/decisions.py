"""Who consumes what, put down for each queue, worker and task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from policycompiler.diagnostics import SpecPath
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Parameter, Plan, Scope, Written

BROADCAST = False
"""A task runs once unless its queue is declared a broadcast."""


def of_queue(
    plan: Plan, scope: Scope, workers: list[str], tasks: list[str], place: SpecPath, *, external: bool
) -> Iterator[Decision]:
    """Who consumes a queue, what is sent to it, and of which kind it is."""
    from_workers: tuple[Origin, ...] = tuple(Derived(Scope("worker", name), "queues") for name in workers)
    because = "these workers list it" if workers else "another app consumes it"
    yield Decision(scope, "workers", [*workers], because, from_workers or (Written(place),))
    routed = [Scope("task", name) for name in tasks if plan.value(Scope("task", name), "queue") == scope.name]
    from_tasks: tuple[Origin, ...] = tuple(Derived(task, "queue") for task in routed)
    because = (
        "they are routed to it" if len(routed) == len(tasks) else "routed to it, or sent to it by choice"
    )
    yield Decision(scope, "tasks", [*tasks], because, from_tasks or (Written(place),))
    yield from _kind(plan, scope, place, external=external)


def of_workers(
    spec: Workload, plan: Plan, consumed: dict[str, dict[str, Origin]], sent: dict[str, list[str]]
) -> Iterator[Decision]:
    """What each worker consumes, and the tasks that it runs thereby."""
    queues_of: dict[str, dict[str, Origin]] = {name: {} for name in spec.workers}
    for queue, workers in consumed.items():
        for worker, origin in workers.items():
            queues_of.setdefault(worker, {})[queue] = origin
    for worker, queues in sorted(queues_of.items()):
        scope = Scope("worker", worker)
        origins = tuple(dict.fromkeys(queues[queue] for queue in sorted(queues)))
        origins = origins or (Written(("workers", worker)),)
        because = "as the workload lists them"
        if isinstance(origins[0], Constant):
            because = "no other worker consumes this queue"
        elif isinstance(origins[0], Parameter):
            because = "no other worker consumes these queues, and few workers are asked for"
        yield Decision(scope, "queues", [*sorted(queues)], because, origins)
        brought = {name for queue in queues for name in sent.get(queue, [])}
        tasks = sorted(name for name in brought if not plan.value(Scope("task", name), "external"))
        yield Decision(scope, "tasks", [*tasks], "its queues bring them", (Derived(scope, "queues"),))


def of_tasks(plan: Plan, tasks: Iterable[str], consumed: Mapping[str, Iterable[str]]) -> Iterator[Decision]:
    """Who runs each task."""
    by_queue = {queue: sorted(workers) for queue, workers in consumed.items()}
    for name in tasks:
        task = Scope("task", name)
        queue = plan.text(task, "queue")
        workers = [] if plan.value(task, "external") else by_queue.get(queue, [])
        origins = (Derived(task, "queue"), Derived(Scope("queue", queue), "workers"))
        because = "they consume its queue" if workers else "another app runs it"
        yield Decision(task, "workers", [*workers], because, origins)


def _kind(plan: Plan, scope: Scope, place: SpecPath, *, external: bool) -> Iterator[Decision]:
    """Whose queue it is and who gets its messages, where that is not written."""
    if plan.find(scope, "external") is None:
        because = "another app consumes it" if external else "it is consumed here"
        yield Decision(scope, "external", external, because, (Written(place),))
    if plan.find(scope, "broadcast") is None:
        because = "each message goes to one worker"
        yield Decision(scope, "broadcast", BROADCAST, because, (Constant("BROADCAST", BROADCAST),))
