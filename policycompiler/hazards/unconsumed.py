"""Queues from which no worker takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope

_NOWHERE: Mapping[str, SpecPath] = {}


def unconsumed(plan: Plan, places: Mapping[str, SpecPath] = _NOWHERE) -> Iterator[Hazard]:
    """Of the tasks that this app runs; `places` says where the workload names a queue first."""
    for queue in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
        workers = [Scope("worker", name) for name in plan.texts(queue, "workers")]
        own = not plan.get(queue, "external") or any(not plan.get(task, "external") for task in tasks)
        if own and all(plan.get(worker, "replicas") == 0 for worker in workers):
            message = f"no running worker consumes queue {queue.name}"
            help_text = "let a worker consume it, or mark its tasks `external: true`"
            settings = ((queue, "workers"), *((worker, "replicas") for worker in workers))
            settings = (*settings, (queue, "external"), (queue, "tasks"))
            path = places.get(queue.name) or _place(plan, queue, tasks)
            yield Hazard("queue-unconsumed", settings, message, help_text, path, about=(queue,))


def _place(plan: Plan, queue: Scope, tasks: list[Scope]) -> SpecPath:
    """Where the workload names a queue: at its own entry, or at a task."""
    pinned = (plan.written(task, "queue") for task in tasks)
    return next((path for path in pinned if path is not None), ("queues", queue.name))
