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


def queues_of(plan: Plan, task: Scope) -> list[Scope]:
    """The queues that bring a task."""
    own = plan.get(task, "queue")
    brought = (queue for queue in plan.scopes("queue") if task.name in (plan.get(queue, "tasks") or []))  # type: ignore[operator]
    return list(dict.fromkeys([*([Scope("queue", str(own))] if own else []), *brought]))
