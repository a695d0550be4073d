"""What a queue of dead letters gets that did not fail, and what it misses.

Decides:
    Nothing.

Because:
    On RabbitMQ a message that expires in a queue with dead letters is one of them (reason `expired`), so
    every run of an outage that nobody wants any more lies among the failures; no argument of a queue tells
    one from the other. A task that is killed at its hard limit is acknowledged, as it would be put back for
    ever otherwise, and leaves no letter; the soft limit before it is a failure and does, if there is time
    between the two and the pool keeps it (https://www.rabbitmq.com/docs/dlx, celery.worker.request).

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.cart.remind: {idempotent: true, queue: mail, expires: 1h}}
    queues: {mail: {dead_letter: true}}

    refuses dlq-expires-flood

Refuses:
    PC219 dlq-expires-flood: give what expires a queue without `dead_letter`, or let it not expire.
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
    PC220 dlq-hard-timeout-gap: leave time between the soft and the hard limit, on the pool prefork.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: mail, options: {soft_time_limit: 9, time_limit: 9}}}
            queues: {mail: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: mail, options: {soft_time_limit: 8, time_limit: 9}}}
            queues: {mail: {dead_letter: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, warning
from policycompiler.hazards.dead_letters import kept_queues, killed
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope, Written

NAME = "dead-letter-gaps"

DLQ_EXPIRES_FLOOD = warning("PC219", "dlq-expires-flood")
DLQ_HARD_TIMEOUT_GAP = warning("PC220", "dlq-hard-timeout-gap")


def apply(_: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at each task and schedule whose queue keeps dead letters."""
    yield from as_findings(killed(plan), DLQ_HARD_TIMEOUT_GAP)
    for task, kept in kept_queues(plan):
        expires = plan.find(task, "options.expires")
        if expires is not None:
            origin = expires.origins[0]
            path = origin.path if isinstance(origin, Written) else ("tasks", task.name)
            yield _flood(path, f"{task.name} expires after {expires.value:g} s", kept.name)
    for scope in plan.scopes("schedule"):
        options = plan.get(scope, "options")
        queue = _queue_of(plan, scope)
        if isinstance(options, dict) and "expires" in options and _keeps(plan, queue):
            what = f"each run of schedule {scope.name} expires after {options['expires']:g} s"
            yield _flood(("schedules", scope.name), what, queue)


def _keeps(plan: Plan, queue: str) -> bool:
    return plan.find(Scope("queue", queue), "dead_letter_queue") is not None


def _queue_of(plan: Plan, schedule: Scope) -> str:
    """Where beat sends it: as the schedule says, else as its task does."""
    options, task = plan.get(schedule, "options"), plan.text(schedule, "task")
    if isinstance(options, dict) and "queue" in options:
        return str(options["queue"])
    entry = plan.entry(task)
    return "" if entry is None else plan.text(entry, "queue")


def _flood(path: SpecPath, what: str, queue: str) -> Diagnostic:
    message = f"{what}, and RabbitMQ keeps what expired among the dead letters of queue {queue}"
    help_text = "give it a queue without `dead_letter: true`, or let it not expire"
    related = (Related(("queues", queue, "dead_letter"), "its dead letters are kept"),)
    return DLQ_EXPIRES_FLOOD.at(path, message, help=help_text, related=related)
