"""Queue names that the broker does not support, and on SQS queues missing in `predefined_queues`.

Decides:
    Nothing.

Because:
    Redis and RabbitMQ accept any name of a queue. The file system transport puts the name into the name of a
    file. On SQS kombu replaces a dot with a dash, and other punctuation with an underscore. Two names may
    therefore be one queue. SQS allows 80 letters, digits, dashes and underscores.

    With `predefined_queues` kombu creates no queue. Each queue that a process opens must be in the table
    twice: with the name in Celery and with the name on SQS. The two names differ if there is a dot or a
    `queue_name_prefix`
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/sqs.html#predefined-queues). A
    worker that opens any other queue exits at its start. On SQS the compiler chooses names with dashes.

Example:
    broker:
      transport: sqs
      url: "${CELERY_BROKER_URL}"
      options: {predefined_queues: {mail: {url: "https://sqs.eu-west-1.amazonaws.com/1/mail"}}}
    tasks: {shop.a: {queue: mail}, shop.b: {queue: post}}

    refuses predefined-queue-missing
    refuses alert-missing

Refuses:
    PC473 predefined-queue-missing: add the queue to `predefined_queues`, or use a queue from there.
        fires:
            broker:
              {transport: sqs, url: "${B}", options: {predefined_queues: {q: {url: "https://sqs/1/q"}}}}
            tasks: {shop.a: {queue: other}}
        silent:
            broker:
              {transport: sqs, url: "${B}", options: {predefined_queues: {q: {url: "https://sqs/1/q"}}}}
            tasks: {shop.a: {queue: q}}
    PC474 queue-name-invalid: choose another name.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {queue: mail.in}, shop.b: {queue: mail-in}}
        silent:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {queue: mail.in}, shop.b: {queue: mail-out}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.sqs import sqs_queues
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "sqs-queues"

PREDEFINED_QUEUE_MISSING = error("PC473", "predefined-queue-missing")
QUEUE_NAME_INVALID = error("PC474", "queue-name-invalid")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each queue that a process opens."""
    del spec
    return as_findings(sqs_queues(plan), PREDEFINED_QUEUE_MISSING, QUEUE_NAME_INVALID)
