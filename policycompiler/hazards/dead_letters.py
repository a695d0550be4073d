"""Dead letters that run again."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope, Written

LETTERS = "dead_letter_queue"


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
            help_text = f"let no worker consume {dead.name}; `policycompiler dead-letters` shows its messages"
            if tasks := plan.texts(dead, "tasks"):
                help_text = f"send {tasks[0]} to another queue"
            elif not isinstance(origin, Written):
                help_text = f"write `external: true` for queue {dead.name}, so that it gets no worker"
            related = (Related(("queues", queue.name, "dead_letter"), "dead letters are kept here"),)
            settings = ((Scope("worker", str(worker)), "queues"), (dead, "workers"), (queue, LETTERS))
            yield Hazard("dlq-consumed", settings, message, help_text, path, related, about=(dead,))
