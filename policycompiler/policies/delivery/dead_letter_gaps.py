"""Dead letters of tasks that did not fail.

Decides:
    Nothing.

Because:
    On RabbitMQ a message that expires in a queue with dead letters becomes a dead letter (reason `expired`).
    So after an outage all expired runs are mixed with the failures. No queue argument separates them
    (https://www.rabbitmq.com/docs/dlx). On Redis the worker discards expired messages.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.cart.remind: {idempotent: true, queue: mail, expires: 1h}}
    queues: {mail: {dead_letter: true}}

    refuses dlq-expires-flood

Refuses:
    PC219 dlq-expires-flood: use a queue without `dead_letter` for the task, or remove the expiry.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: mail}}
            queues: {mail: {dead_letter: true}}
            schedules: {often: {task: shop.a, every: 1m}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: mail}}
            queues: {mail: {dead_letter: true}}
            schedules: {often: {task: shop.a, every: 1m, options: {queue: other}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, warning
from policycompiler.hazards.dead_letters import kept_queues
from policycompiler.knowledge.brokers import DeadLetters
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope, Written
from policycompiler.quantities import duration

NAME = "dead-letter-gaps"

DLQ_EXPIRES_FLOOD = warning("PC219", "dlq-expires-flood")


def apply(_: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each task and schedule whose queue keeps dead letters."""
    if plan.broker.dead_letters is not DeadLetters.ARGUMENTS:
        return
    for task, kept in kept_queues(plan):
        expires = plan.find(task, "options.expires")
        if expires is not None:
            origin = expires.origins[0]
            path = origin.path if isinstance(origin, Written) else ("tasks", task.name)
            assert isinstance(expires.value, int | float)
            yield _flood(path, f"{task.name} expires after {duration(expires.value)}", kept.name)
    for scope in plan.scopes("schedule"):
        options = plan.get(scope, "options")
        queue = _queue_of(plan, scope)
        if isinstance(options, dict) and "expires" in options and _keeps(plan, queue):
            seconds = options["expires"]
            assert isinstance(seconds, int | float)
            what = f"each run of schedule {scope.name} expires after {duration(seconds)}"
            yield _flood(("schedules", scope.name), what, queue)


def _keeps(plan: Plan, queue: str) -> bool:
    return plan.find(Scope("queue", queue), "dead_letter_queue") is not None


def _queue_of(plan: Plan, schedule: Scope) -> str:
    """The queue that beat sends to: the schedule's, otherwise the task's."""
    options, task = plan.get(schedule, "options"), plan.text(schedule, "task")
    if isinstance(options, dict) and "queue" in options:
        return str(options["queue"])
    entry = plan.entry(task)
    return "" if entry is None else plan.text(entry, "queue")


def _flood(path: SpecPath, what: str, queue: str) -> Diagnostic:
    message = f"{what}, and RabbitMQ keeps expired messages among the dead letters of queue {queue}"
    help_text = "use a queue without `dead_letter: true`, or remove the expiry"
    related = (Related(("queues", queue, "dead_letter"), "dead letters are kept here"),)
    return DLQ_EXPIRES_FLOOD.at(path, message, help=help_text, related=related)
