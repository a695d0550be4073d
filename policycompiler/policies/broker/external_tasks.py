"""Tasks and queues of another app.

Decides:
    On RabbitMQ with publisher confirms `task:NAME/mandatory`, of a task whose queue another app makes.

Because:
    A worker discards a message of a task that it does not have, so a task of another app is lost as soon as a
    worker of this one consumes its queue. RabbitMQ confirms a message that no queue takes, and drops it: what
    is sent before the other app has made its queue is gone. Published as mandatory it comes back, and the
    send raises `NO_ROUTE` (https://www.rabbitmq.com/docs/publishers#unroutable). Only routes say that, so a
    send that names the queue itself is not covered.

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
    PC465 external-queue-unchecked: route the task there, with publisher confirms.
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
"""What no queue takes comes back to its sender, which raises an error."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Make sends to a queue that is not there fail, and tell of what is lost all the same."""
    del spec
    options = plan.get(APP, "broker_transport_options")
    if isinstance(options, dict) and options.get("confirm_publish") is True:
        for task in plan.scopes("task"):
            queue = Scope("queue", plan.text(task, "queue"))
            if is_made_elsewhere(plan, queue):
                because = (
                    "another app makes its queue, and without one RabbitMQ would drop the message unseen"
                )
                origins = (Derived(queue, "external"), Constant("MANDATORY", MANDATORY))
                yield Decision(task, "mandatory", MANDATORY, because, origins)
    for hazard in external_tasks(plan):
        yield hazard.as_finding(EXTERNAL_TASK_CONSUMED)
    for hazard in unchecked_queues(plan):
        yield hazard.as_finding(EXTERNAL_QUEUE_UNCHECKED)
