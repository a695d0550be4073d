"""Settings that lose waiting messages, above all of critical tasks.

Decides:
    Nothing.

Because:
    A task is critical if each of its failures matters. A message that is lost before it runs is a failure
    without a report. RabbitMQ loses transient messages at a restart
    (https://www.rabbitmq.com/docs/persistence-conf). Queue arguments can drop messages that have waited too
    long, messages beyond a length, or a whole idle queue. Dropped messages that become dead letters are
    kept. The memory transport keeps messages in one process only.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    queues: {payments: {arguments: {x-message-ttl: 60000}}}
    tasks: {shop.payments.charge: {queue: payments, critical: true}}

    refuses critical-task-dropped

Refuses:
    PC466 critical-task-dropped: remove the setting that drops its messages.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {critical: true, options: {delivery_mode: 1}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {critical: true, options: {delivery_mode: 2}}}

    PC481 messages-transient: remove `delivery_mode`.
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
    """Check where the messages of each critical task wait."""
    del spec
    return as_findings(critical_messages(plan), CRITICAL_TASK_DROPPED, MESSAGES_TRANSIENT)
