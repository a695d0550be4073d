"""Facts about queues that hazards need."""

from __future__ import annotations

from policycompiler.plan import Plan, Scope, Value


def arguments_of(plan: Plan, queue: Scope) -> dict[str, Value]:
    """The arguments with which a queue is declared."""
    return plan.below(queue, "arguments.")


def type_of(plan: Plan, queue: Scope) -> str:
    """The type of a queue; classic if it is not decided."""
    return str(plan.get(queue, "type", "classic"))


def is_consumed(plan: Plan, queue: Scope) -> bool:
    """Whether a worker of this app consumes it."""
    workers = plan.get(queue, "workers")
    names = workers if isinstance(workers, list) else []
    return any(plan.get(Scope("worker", str(name)), "replicas", 1) != 0 for name in names)


def queues_by_task(plan: Plan) -> dict[str, list[Scope]]:
    """The queues that each task is sent to, its own first; for all tasks at once, for speed."""
    found: dict[str, dict[Scope, None]] = {}
    for task in plan.scopes("task"):
        own = plan.get(task, "queue")
        found[task.name] = {Scope("queue", str(own)): None} if own else {}
    for queue in plan.scopes("queue"):
        tasks = plan.get(queue, "tasks")
        for name in tasks if isinstance(tasks, list) else []:
            found.setdefault(str(name), {})[queue] = None
    return {name: list(queues) for name, queues in found.items()}
