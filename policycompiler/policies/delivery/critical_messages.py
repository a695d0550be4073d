"""Ways in which waiting tasks are lost, above all those that are declared critical.

Decides:
    Nothing.

Because:
    A task is declared critical when each of its failures matters, and a message that is dropped before it
    runs is a failure that nobody hears of. RabbitMQ loses transient messages at a restart
    (https://www.rabbitmq.com/docs/persistence-conf), and arguments of a queue drop what has waited for too
    long, what is too much, or all of an idle queue. What becomes a dead letter instead is kept. The memory
    transport keeps messages in one process.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    queues: {payments: {arguments: {x-message-ttl: 60000}}}
    tasks: {shop.payments.charge: {queue: payments, critical: true}}

    refuses critical-task-dropped

Refuses:
    PC466 critical-task-dropped: remove what drops it.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {critical: true, options: {delivery_mode: 1}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {critical: true, options: {delivery_mode: 2}}}

    PC481 messages-transient: remove the delivery mode.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {options: {delivery_mode: 1}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {options: {delivery_mode: 2}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, error, warning
from policycompiler.hazards.critical import critical_messages
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "critical-messages"

CRITICAL_TASK_DROPPED = error("PC466", "critical-task-dropped")
MESSAGES_TRANSIENT = warning("PC481", "messages-transient", Profile.MINIMAL)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at where each critical task waits."""
    del spec
    return as_findings(critical_messages(plan), CRITICAL_TASK_DROPPED, MESSAGES_TRANSIENT)
