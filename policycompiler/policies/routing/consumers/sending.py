"""The tasks that are sent to each queue, and the line of the workload that declares it."""

from __future__ import annotations

from policycompiler.diagnostics import SpecPath
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan, Scope


def sent_tasks(spec: Workload, plan: Plan) -> dict[str, list[str]]:
    """Tasks by the queue they are sent to: their own, one that a publisher may choose, one of a schedule."""
    ways = {(plan.text(Scope("task", name), "queue"), name) for name in spec.tasks}
    for name, task in spec.tasks.items():
        ways.update((queue, name) for queue in task.call_time_queues or ())
    for schedule in spec.schedules.values():
        if schedule.options is not None and schedule.options.queue and schedule.task in spec.tasks:
            ways.add((schedule.options.queue, schedule.task))
    sent: dict[str, list[str]] = {}
    for queue, name in sorted(ways):
        sent.setdefault(queue, []).append(name)
    return sent


def sent_to(spec: Workload, plan: Plan) -> dict[str, SpecPath]:
    """Queues that tasks are sent to, each with a place in the workload that declares it."""
    places: dict[str, SpecPath] = {}
    for name, task in sorted(spec.tasks.items()):
        places.setdefault(plan.text(Scope("task", name), "queue"), ("tasks", name))
        for index, queue in enumerate(task.call_time_queues or []):
            places.setdefault(queue, ("tasks", name, "call_time_queues", index))
    for name, schedule in sorted(spec.schedules.items()):
        named = schedule.options.queue if schedule.options else None
        if named is not None:
            places.setdefault(named, ("schedules", name, "options", "queue"))
    places.setdefault(plan.text(APP, "task_default_queue"), ("service",))
    return places
