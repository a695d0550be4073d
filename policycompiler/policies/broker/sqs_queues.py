"""Names that SQS has no queue for.

Decides:
    Nothing.

Because:
    kombu writes a dot in a queue's name as a dash, and other punctuation as an underscore, so two names may
    be one queue; SQS takes 80 characters. With `predefined_queues` kombu makes no queue: each that a process
    opens has to be in the table, under the name that Celery uses and under the one on SQS, which differ as
    soon as there is a dot or a `queue_name_prefix`
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/sqs.html#predefined-queues). A
    worker that opens another one ends at its start. The names that the compiler chooses have dashes there.

Example:
    broker:
      transport: sqs
      url: "${CELERY_BROKER_URL}"
      options: {predefined_queues: {mail: {url: "https://sqs.eu-west-1.amazonaws.com/1/mail"}}}
    tasks: {shop.a: {queue: mail}, shop.b: {queue: post}}

    refuses predefined-queue-missing
    refuses alert-missing

Refuses:
    PC473 predefined-queue-missing: add the queue to the table, or use one that is there.
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
    """Each queue that a process opens."""
    del spec
    return as_findings(sqs_queues(plan), PREDEFINED_QUEUE_MISSING, QUEUE_NAME_INVALID)
