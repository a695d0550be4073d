"""What hazards ask of a queue."""

from __future__ import annotations

from policycompiler.plan import Plan, Scope, Value


def arguments_of(plan: Plan, queue: Scope) -> dict[str, Value]:
    """The arguments with which a queue is declared."""
    return plan.below(queue, "arguments.")


def type_of(plan: Plan, queue: Scope) -> str:
    """Classic where nobody decided."""
    return str(plan.get(queue, "type", "classic"))


def is_consumed(plan: Plan, queue: Scope) -> bool:
    """Whether a worker of this app takes from it."""
    workers = plan.get(queue, "workers")
    names = workers if isinstance(workers, list) else []
    return any(plan.get(Scope("worker", str(name)), "replicas", 1) != 0 for name in names)


def queues_by_task(plan: Plan) -> dict[str, list[Scope]]:
    """The queues that bring each task, its own first: of all at once, as each queue lists many tasks."""
    found: dict[str, dict[Scope, None]] = {}
    for task in plan.scopes("task"):
        own = plan.get(task, "queue")
        found[task.name] = {Scope("queue", str(own)): None} if own else {}
    for queue in plan.scopes("queue"):
        tasks = plan.get(queue, "tasks")
        for name in tasks if isinstance(tasks, list) else []:
            found.setdefault(str(name), {})[queue] = None
    return {name: list(queues) for name, queues in found.items()}
