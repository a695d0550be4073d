"""Retries of broadcast messages."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.plan import Plan, Scope

RETRY_ON_WORKER_LOST = "options.retry_on_worker_lost"


def broadcast_retries(plan: Plan) -> Iterator[Hazard]:
    """A retry goes to the exchange of its message, so every worker process gets it."""
    for queue in plan.scopes("queue"):
        if not plan.get(queue, "broadcast"):
            continue
        for name in plan.texts(queue, "tasks"):
            task = Scope("task", name)
            retried = _retried_by(plan, task)
            if retried is None:
                continue
            message = (
                f"every worker process of queue {queue.name} runs {name}, and each failed run is retried in "
                "all of them: failures multiply with every retry"
            )
            help_text = "write `retry: none`, or catch the error and repeat the failing call inside the task"
            if retried == RETRY_ON_WORKER_LOST:
                help_text = "remove `retry_on_worker_lost`"
            settings = ((task, retried), (task, "options.max_retries"), (queue, "broadcast"), (task, "queue"))
            path = place_of(plan, task, retried)
            yield Hazard("broadcast-retried", settings, message, help_text, path)


def _retried_by(plan: Plan, task: Scope) -> str | None:
    """The setting that makes Celery retry a task automatically."""
    if plan.get(task, "options.max_retries") == 0:
        return None
    if plan.get(task, "options.autoretry_for"):
        return "options.autoretry_for"
    return RETRY_ON_WORKER_LOST if plan.get(task, RETRY_ON_WORKER_LOST) else None
