"""Retries of what every process got."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.plan import Plan, Scope

RETRY_ON_WORKER_LOST = "options.retry_on_worker_lost"


def broadcast_retries(plan: Plan) -> Iterator[Hazard]:
    """A retry is sent where the message came from, so it goes to every process again."""
    for queue in plan.scopes("queue"):
        if not plan.get(queue, "broadcast"):
            continue
        for name in plan.texts(queue, "tasks"):
            task = Scope("task", name)
            retried = _retried_by(plan, task)
            if retried is None:
                continue
            message = (
                f"queue {queue.name} brings {name} to every worker process, and each that fails sends its "
                "retry to all of them again: one failure multiplies with every retry"
            )
            help_text = "write `retry: none`, or catch the error and try again inside the task"
            if retried == RETRY_ON_WORKER_LOST:
                help_text = "remove `retry_on_worker_lost`"
            settings = ((task, retried), (task, "options.max_retries"), (queue, "broadcast"), (task, "queue"))
            path = place_of(plan, task, retried)
            yield Hazard("broadcast-retried", settings, message, help_text, path)


def _retried_by(plan: Plan, task: Scope) -> str | None:
    """The setting that makes Celery send a task again by itself."""
    if plan.get(task, "options.max_retries") == 0:
        return None
    if plan.get(task, "options.autoretry_for"):
        return "options.autoretry_for"
    return RETRY_ON_WORKER_LOST if plan.get(task, RETRY_ON_WORKER_LOST) else None
