"""Failures that leave no dead letter although their queue keeps dead letters."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope, Written
from policycompiler.quantities import duration

LETTERS = "dead_letter_queue"
ACKS_LATE, SOFT, HARD = "options.acks_late", "options.soft_time_limit", "options.time_limit"
POOLS_WITH_HARD_LIMIT_ONLY = ("gevent", "eventlet")
"""They stop a task that yields at its hard limit, and ignore the soft limit."""


def kept_queues(plan: Plan) -> Iterator[tuple[Scope, Scope]]:
    """The tasks that run here whose queue keeps dead letters, each with that queue."""
    for task in plan.scopes("task"):
        queue = Scope("queue", plan.text(task, "queue"))
        if not plan.get(task, "external") and plan.find(queue, LETTERS) is not None:
            yield task, queue


def consumed(plan: Plan) -> Iterator[Hazard]:
    """Workers that consume a dead-letter queue, and so run failed tasks again."""
    for queue in plan.scopes("queue"):
        dead = Scope("queue", str(plan.get(queue, LETTERS)))
        workers = plan.get(dead, "workers")
        for worker in workers if isinstance(workers, list) else ():
            message = (
                f"worker {worker} consumes {dead.name}, the dead-letter queue of queue {queue.name}: "
                "it would run the failed tasks again"
            )
            origin = plan.setting(Scope("worker", str(worker)), "queues").origins[0]
            path: SpecPath = origin.path if isinstance(origin, Written) else ("queues", dead.name)
            help_text = f"let no worker consume {dead.name}, and read its messages with the broker's tools"
            if tasks := plan.texts(dead, "tasks"):
                help_text = f"send {tasks[0]} to another queue"
            elif not isinstance(origin, Written):
                help_text = f"write `external: true` for queue {dead.name}, so that it gets no worker"
            related = (Related(("queues", queue.name, "dead_letter"), "dead letters are kept here"),)
            settings = ((Scope("worker", str(worker)), "queues"), (dead, "workers"), (queue, LETTERS))
            yield Hazard("dlq-consumed", settings, message, help_text, path, related, about=(dead,))


def acknowledged_early(plan: Plan) -> Iterator[Hazard]:
    """Tasks whose messages are acknowledged before they can fail."""
    for task, queue in kept_queues(plan):
        if plan.get(task, ACKS_LATE):
            continue
        path: SpecPath = ("tasks", task.name)
        for setting in (plan.setting(task, "idempotent"), plan.setting(task, ACKS_LATE)):
            origin = setting.origins[0]
            path = origin.path if isinstance(origin, Written) else path
        message = (
            f"queue {queue.name} keeps dead letters, but a failure of {task.name} leaves none: "
            "it is acknowledged before it runs"
        )
        related = (Related(("queues", queue.name, "dead_letter"), "declared here"),)
        help_text = (
            "make the task safe to run twice and declare it, or use a queue without `dead_letter: true`"
        )
        settings = ((task, ACKS_LATE), (task, "idempotent"), (task, "queue"), (queue, LETTERS))
        yield Hazard("dlq-needs-late-ack", settings, message, help_text, path, related, about=(task,))


def killed(plan: Plan) -> Iterator[Hazard]:
    """Tasks that are killed at their hard limit without a soft limit before it."""
    for task, queue in kept_queues(plan):
        if plan.get(task, "options.acks_on_failure") is False:
            yield from _gap(plan, task, queue)


def _gap(plan: Plan, task: Scope, queue: Scope) -> Iterator[Hazard]:
    if plan.get(task, "options.acks_on_timeout") is False:
        return
    soft, hard = (plan.number_if_any(task, key) for key in (SOFT, HARD))
    if hard is None:
        return
    workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
    pools = {plan.text(worker, "pool") for worker in workers}
    green = sorted(pools.intersection(POOLS_WITH_HARD_LIMIT_ONLY))
    if soft is not None and soft < hard and not green:
        return
    why = (
        "it has no soft time limit"
        if soft is None
        else f"its soft time limit of {duration(soft)} does not end it before that"
    )
    if green:
        why = f"the pool {green[0]} ignores its soft time limit"
    message = f"a run of {task.name} killed after {duration(hard)} leaves no dead letter: {why}"
    help_text = "set the soft time limit some seconds below the hard time limit"
    if green:
        help_text = "use `pool: prefork`"
    related = (Related(("queues", queue.name, "dead_letter"), "dead letters are kept here"),)
    own = tuple((task, key) for key in (SOFT, HARD, "options.acks_on_failure", "queue"))
    settings = (*own, *((worker, "pool") for worker in workers), (queue, LETTERS))
    path: SpecPath = ("tasks", task.name)
    yield Hazard("dlq-hard-timeout-gap", settings, message, help_text, path, related, about=(task,))
