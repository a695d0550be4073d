"""Queues that no worker consumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope

_NOWHERE: Mapping[str, SpecPath] = {}


def unconsumed(plan: Plan, places: Mapping[str, SpecPath] = _NOWHERE) -> Iterator[Hazard]:
    """Check the queues of tasks that this app runs; `places` has the first place that names each queue."""
    for queue in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
        workers = [Scope("worker", name) for name in plan.texts(queue, "workers")]
        own = not plan.get(queue, "external") or any(not plan.get(task, "external") for task in tasks)
        if own and all(plan.get(worker, "replicas") == 0 for worker in workers):
            message = f"no running worker consumes queue {queue.name}"
            help_text = "let a worker consume the queue, or declare `external: true` in its tasks"
            settings = ((queue, "workers"), *((worker, "replicas") for worker in workers))
            settings = (*settings, (queue, "external"), (queue, "tasks"))
            path = places.get(queue.name) or _place(plan, queue, tasks)
            yield Hazard("queue-unconsumed", settings, message, help_text, path, about=(queue,))


def _place(plan: Plan, queue: Scope, tasks: list[Scope]) -> SpecPath:
    """Where the workload names a queue: in its own entry, or in a task."""
    pinned = (plan.written(task, "queue") for task in tasks)
    return next((path for path in pinned if path is not None), ("queues", queue.name))
