"""Runs that are redelivered without end, because each kills its process or is killed at its limit."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard, Makers
from policycompiler.hazards.queues import arguments_of
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

FIRST_CELERY_THAT_COUNTS = (5, 7)
"""Older versions silently ignore `acks_on_failure`, `acks_on_timeout` and `retry_on_worker_lost`. Newer
versions read the flag for the first two only from a decorator or a setting."""
LEGACY, TIMEOUT = "task_acks_on_failure_or_timeout", "options.acks_on_timeout"
_SETTINGS: SpecPath = ("celery", "settings")


def killed_again(plan: Plan) -> Iterator[Hazard]:
    """Tasks that are redelivered when they kill their process."""
    knows = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    for task in _late(plan):
        queue = Scope("queue", plan.text(task, "queue"))
        counts = knows and plan.get(task, "options.retry_on_worker_lost") is not False
        if plan.get(queue, "broadcast") or not plan.get(task, "options.reject_on_worker_lost"):
            continue
        if not counts and not counts_runs(plan, task):
            message = (
                f"{task.name} is redelivered without end when it kills its process: nothing counts its "
                "redeliveries"
            )
            path: SpecPath = ("tasks", task.name, "options", "reject_on_worker_lost")
            keys = ("options.reject_on_worker_lost", "options.retry_on_worker_lost")
            settings = ((task, keys[0]), (task, keys[1]), *_makers(plan, task))
            help_text = "remove `reject_on_worker_lost`, or use a quorum queue with a delivery limit"
            yield Hazard("worker-lost-loop", settings, message, help_text, path, about=(task,))


def put_back(plan: Plan) -> Iterator[Hazard]:
    """Tasks that are redelivered when they are killed at their limit."""
    knows = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    late = _late(plan)
    for task in late:
        if knows and plan.get(task, TIMEOUT) is False and not counts_runs(plan, task):
            yield _after_its_limit(plan, task)
    yield from _app_wide(plan, late, knows=knows)


def _late(plan: Plan) -> list[Scope]:
    own = (task for task in plan.scopes("task") if not plan.get(task, "external"))
    return [task for task in own if plan.get(task, "options.acks_late")]


def counts_runs(plan: Plan, task: Scope) -> bool:
    """Whether something limits how often a message is run: its queue, or the record of its key."""
    return record_counts(plan, task) or counts_deliveries(plan, task)


def counts_deliveries(plan: Plan, task: Scope) -> bool:
    """Whether the queue of a task limits its deliveries."""
    return "x-delivery-limit" in arguments_of(plan, Scope("queue", plan.text(task, "queue")))


def record_counts(plan: Plan, task: Scope) -> bool:
    """Whether the record of a key counts lost runs; not if the task also runs without the store."""
    return plan.get(task, "idempotency_on_store_error") == "wait"


def _after_its_limit(plan: Plan, task: Scope) -> Hazard:
    limit = plan.number_if_any(task, "options.time_limit")
    at = "a hard time limit" if limit is None else f"its hard time limit of {duration(limit)}"
    message = (
        f"{task.name} is redelivered when it is killed at {at}, and killed again without end: nothing "
        "counts its redeliveries"
    )
    path: SpecPath = ("tasks", task.name, "options", "acks_on_timeout")
    help_text = "remove `acks_on_timeout`, or use a quorum queue with a delivery limit"
    settings = ((task, TIMEOUT), *_makers(plan, task))
    return Hazard("timeout-requeue-loop", settings, message, help_text, path, about=(task,))


def _app_wide(plan: Plan, late: list[Scope], *, knows: bool) -> Iterator[Hazard]:
    """Pins for all tasks: the deprecated flag, and a loop of a late task without its own option."""
    if knows and plan.get(APP, LEGACY) is False:
        message = (
            f"`{LEGACY}: false` also redelivers tasks that are killed at their hard time limit: Celery 5.7 "
            "has separate flags for failures and timeouts"
        )
        help_text = "write `task_acks_on_failure: false` and `task_acks_on_timeout: true`"
        settings: Makers = ((APP, LEGACY), (APP, "celery_version"))
        yield Hazard("legacy-ack-flag", settings, message, help_text, (*_SETTINGS, LEGACY))
        return
    setting = "task_acks_on_timeout" if knows else LEGACY
    if plan.get(APP, setting) is not False:
        return
    for task in late:
        own = plan.find(task, TIMEOUT) is not None and knows
        if not own and not counts_runs(plan, task):
            message = (
                f"`{setting}: false` redelivers late-acknowledged tasks without end when they are killed at "
                f"their hard time limit, for instance {task.name}: nothing counts redeliveries"
            )
            help_text = f"remove `{setting}`, or use quorum queues with a delivery limit"
            settings = ((APP, setting), (task, TIMEOUT), *_makers(plan, task))
            path: SpecPath = (*_SETTINGS, setting)
            yield Hazard("timeout-requeue-loop", settings, message, help_text, path, about=(APP,))
            return


def _makers(plan: Plan, task: Scope) -> tuple[tuple[Scope, str], ...]:
    queue = Scope("queue", plan.text(task, "queue"))
    return (
        (task, "options.acks_late"),
        (task, "queue"),
        (queue, "arguments.x-delivery-limit"),
        (APP, "celery_version"),
    )
