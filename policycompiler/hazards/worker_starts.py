"""Values with which no worker starts, or with which it stops fetching messages."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.delays import held_by_workers
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import is_consumed, type_of
from policycompiler.knowledge.celery_settings import LOG_LEVELS, known
from policycompiler.knowledge.queue_arguments import TYPE
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.quantities import duration

_LEVEL = "worker_redirect_stdouts_level"
_PRIORITY = "x-priority"
STREAM = "stream"


def worker_starts(plan: Plan) -> Iterator[Hazard]:
    """Check Celery's own settings, and queues."""
    yield from _queues_of_celery(plan)
    level = plan.get(APP, _LEVEL)
    if isinstance(level, str) and level.upper() not in LOG_LEVELS:
        message = f"`{_LEVEL}: {level}` is not a log level, so no worker starts"
        yield _refused(plan, _LEVEL, message, f"write one of {', '.join(sorted(LOG_LEVELS))}")
    if plan.broker.declarations:
        for queue in plan.scopes("queue"):
            if is_consumed(plan, queue):
                yield from _consumers(plan, queue)


def _queues_of_celery(plan: Plan) -> Iterator[Hazard]:
    for kind, who in (("control", "no worker starts"), ("event", "nothing can receive task events")):
        durable, exclusive = f"{kind}_queue_durable", f"{kind}_queue_exclusive"
        pinned, version = plan.get(APP, exclusive), plan.text(APP, "celery_version")
        on = known("settings", version).get(exclusive, {}).get("default") if pinned is None else pinned
        if plan.get(APP, durable) is True and on:
            why = f", which is on by default in Celery {version}" if pinned is None else ""
            message = f"Celery refuses `{durable}` together with `{exclusive}`{why}: {who}"
            help_text = f"set `{exclusive}: false`, or remove `{durable}`"
            if plan.written(APP, "celery_version") is None:
                help_text += "; if an older Celery runs, declare `celery.version`"
            yield _refused(plan, durable, message, help_text)


def _consumers(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    if type_of(plan, queue) == STREAM:
        key = f"arguments.{TYPE}"
        message = (
            f"queue {queue.name} is a stream, but Celery sets a global prefetch: RabbitMQ refuses its "
            "consumers (406), so its workers do not start"
        )
        path = place_of(plan, queue, key, "type")
        yield Hazard("worker-start-refused", ((queue, key),), message, "use a quorum or classic queue", path)
    arguments = plan.get(queue, "consumer_arguments")
    priority = arguments.get(_PRIORITY) if isinstance(arguments, dict) else None
    if priority is not None and not _is_number(priority):
        message = (
            f"RabbitMQ refuses (406) `{_PRIORITY}: {priority}` for consumers of queue {queue.name}, because "
            "it must be an integer: its workers do not start"
        )
        path = ("queues", queue.name, "consumer_arguments", _PRIORITY)
        settings = ((queue, "consumer_arguments"),)
        yield Hazard("worker-start-refused", settings, message, "write an integer", path)


def _is_number(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(plan: Plan, key: str, message: str, help_text: str) -> Hazard:
    path = place_of(plan, APP, key)
    return Hazard("worker-start-refused", ((APP, key),), message, help_text, path)


def delayed_starve(plan: Plan) -> Iterator[Hazard]:
    """A limit on delayed messages with which a worker may fetch no other message."""
    limit = plan.number_if_any(APP, "worker_eta_task_limit")
    if not limit:
        return
    for task in plan.scopes("task"):
        if delay := held_by_workers(plan, task):
            message = (
                f"{delay.what} {duration(delay.seconds)}, but a worker that holds {limit:g} delayed "
                f"message{'s' * (limit != 1)} fetches no other: messages that are due wait behind "
                "delayed ones"
            )
            settings = ((APP, "worker_eta_task_limit"), (task, delay.key))
            path = place_of(plan, APP, "worker_eta_task_limit")
            related = (Related(delay.path, "delayed in the worker"),)
            help_text = "remove the limit"
            yield Hazard("eta-limit-starves", settings, message, help_text, path, related, about=(APP,))
            return
