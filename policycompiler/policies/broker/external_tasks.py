"""Tasks and queues of another app.

Decides:
    On RabbitMQ with publisher confirms: `task:NAME/mandatory`, for a task whose queue another app creates.

Because:
    A worker discards messages of tasks that it does not have. If a worker of this app consumes the queue of
    another app's task, the task is lost.

    RabbitMQ confirms a message that reaches no queue, and then drops it. Messages sent before the other app
    has created its queue are lost. RabbitMQ returns a mandatory message, and the publisher gets the error
    `NO_ROUTE` (https://www.rabbitmq.com/docs/publishers#unroutable). Only routes set this flag, so a call
    that names the queue itself is not covered.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    queues: {partner: {external: true}}
    tasks: {partner.mail.send: {queue: partner, external: true}}

    task:partner.mail.send/mandatory = true

Refuses:
    PC464 external-task-consumed: give the task a queue that only the other app consumes.
        fires:
            tasks: {shop.a: {queue: q}, partner.e: {queue: q, external: true}}
        silent:
            tasks: {shop.a: {queue: q}, partner.e: {queue: theirs, external: true}}
    PC465 external-queue-unchecked: route the task to that queue, with publisher confirms.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {partner.e: {queue: own, call_time_queues: [theirs], external: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {partner.e: {queue: theirs, external: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.external import external_tasks, is_made_elsewhere, unchecked_queues
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope

NAME = "external-tasks"

EXTERNAL_TASK_CONSUMED = error("PC464", "external-task-consumed")
EXTERNAL_QUEUE_UNCHECKED = warning("PC465", "external-queue-unchecked")

MANDATORY = True
"""RabbitMQ returns a message that reaches no queue, and the publisher raises an error."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Make publishing to a missing queue fail, and report messages that are still lost."""
    del spec
    options = plan.get(APP, "broker_transport_options")
    if isinstance(options, dict) and options.get("confirm_publish") is True:
        for task in plan.scopes("task"):
            queue = Scope("queue", plan.text(task, "queue"))
            if is_made_elsewhere(plan, queue) and not plan.as_is(task):
                because = (
                    "another app creates the queue, and RabbitMQ silently drops messages that reach none"
                )
                origins = (Derived(queue, "external"), Constant("MANDATORY", MANDATORY))
                yield Decision(task, "mandatory", MANDATORY, because, origins)
    for hazard in external_tasks(plan):
        yield hazard.as_finding(EXTERNAL_TASK_CONSUMED)
    for hazard in unchecked_queues(plan):
        yield hazard.as_finding(EXTERNAL_QUEUE_UNCHECKED)
