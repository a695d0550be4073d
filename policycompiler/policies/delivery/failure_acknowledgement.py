"""What becomes of the message of a late-acknowledged task that failed or was killed at its hard limit.

Decides:
    Of the late-acknowledged tasks of a queue whose dead letters are kept
    `task:NAME/options.acks_on_failure` and `acks_on_timeout`; before Celery 5.7
    `acks_on_failure_or_timeout`, where the queue counts deliveries.

Because:
    By default a failed task is acknowledged, and no broker learns that it failed. Not acknowledged, its
    message is rejected and RabbitMQ keeps it; the retries before it are acknowledged, so it is kept once,
    when they are exhausted. A message that is not acknowledged at the hard limit is put back instead, and
    the next run is killed too, for ever: that one is acknowledged, and the soft limit below it, which
    counts as a failure, is what keeps it
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-acks-on-failure). Celery before
    5.7 has one flag for both, and only the delivery limit of a quorum queue ends what it puts back.
    An early-acknowledged message is gone before the task runs, so it cannot be kept.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.mail.send: {idempotent: true, queue: mail}}
    queues: {mail: {dead_letter: true}}

    task:shop.mail.send/options.acks_on_failure = false
    task:shop.mail.send/options.acks_on_timeout = true

Refuses:
    PC211 legacy-ack-flag: pin `task_acks_on_failure` and `task_acks_on_timeout` instead.
        fires: celery: {settings: {task_acks_on_failure_or_timeout: false}}
        silent: celery: {settings: {task_acks_on_failure: false, task_acks_on_timeout: true}}
    PC212 timeout-requeue-loop: acknowledge at the hard limit, or use a quorum queue with a delivery limit.
        fires: tasks: {shop.a: {idempotent: true, options: {acks_on_timeout: false}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, idempotent: true, options: {acks_on_timeout: false}}}
    PC213 dlq-needs-late-ack: make the task safe to run twice and declare it, or give it a queue without
        `dead_letter`.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail}}
            queues: {mail: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail, idempotent: true}}
            queues: {mail: {dead_letter: true}}
    PC214 dlq-without-limit: use a quorum queue, or Celery 5.7.
        fires:
            celery: {version: "5.6"}
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail, idempotent: true}}
            queues: {mail: {dead_letter: true, type: classic}}
        silent:
            celery: {version: "5.6"}
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail, idempotent: true}}
            queues: {mail: {dead_letter: true, type: quorum}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, Related, error, warning
from policycompiler.hazards.dead_letters import acknowledged_early
from policycompiler.hazards.endless_runs import FIRST_CELERY_THAT_COUNTS, counts_deliveries, put_back
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope

NAME = "failure-acknowledgement"

LEGACY_ACK_FLAG = error("PC211", "legacy-ack-flag")
TIMEOUT_REQUEUE_LOOP = error("PC212", "timeout-requeue-loop")
DLQ_NEEDS_LATE_ACK = error("PC213", "dlq-needs-late-ack")
DLQ_WITHOUT_LIMIT = warning("PC214", "dlq-without-limit", Profile.MINIMAL)

ACKS_ON_FAILURE = False
"""Rejected, so that the broker keeps the message."""
ACKS_ON_TIMEOUT = True
"""What is put back is killed again."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Failures to the dead letters where there are any; nothing put back for ever."""
    two_flags = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    for name in spec.tasks:
        scope = Scope("task", name)
        queue = Scope("queue", plan.text(scope, "queue"))
        late = not plan.value(scope, "external") and plan.value(scope, "options.acks_late")
        if late and plan.find(queue, "dead_letter_queue") is not None:
            yield from _kept(plan, scope, queue, two_flags=two_flags)
    yield from as_findings(acknowledged_early(plan), DLQ_NEEDS_LATE_ACK)
    yield from as_findings(put_back(plan), LEGACY_ACK_FLAG, TIMEOUT_REQUEUE_LOOP)


def _kept(plan: Plan, scope: Scope, queue: Scope, *, two_flags: bool) -> Iterator[Decision | Diagnostic]:
    origins = (Derived(queue, "dead_letter_queue"), Derived(scope, "options.acks_late"))
    failure = Constant("ACKS_ON_FAILURE", ACKS_ON_FAILURE)
    because = f"what fails for good goes to {plan.text(queue, 'dead_letter_queue')}"
    if two_flags:
        if plan.find(scope, "options.acks_on_failure") is None:
            yield Decision(scope, "options.acks_on_failure", ACKS_ON_FAILURE, because, (*origins, failure))
        if plan.find(scope, "options.acks_on_timeout") is None:
            timeout = Constant("ACKS_ON_TIMEOUT", ACKS_ON_TIMEOUT)
            because = "put back, it would be killed at its hard limit again, for ever"
            yield Decision(scope, "options.acks_on_timeout", ACKS_ON_TIMEOUT, because, (*origins, timeout))
    elif counts_deliveries(plan, scope):
        version = Derived(APP, "celery_version")
        yield Decision(
            scope,
            "options.acks_on_failure_or_timeout",
            ACKS_ON_FAILURE,
            because,
            (*origins, failure, version),
        )
    else:
        message = (
            f"failures of {scope.name} are not kept: before Celery 5.7 one flag is for failures and hard "
            f"limits alike, and nothing in queue {queue.name} would end a task that is killed at its limit"
        )
        related = (Related(("queues", queue.name, "dead_letter"), "its dead letters are kept"),)
        help_text = "use a quorum queue, or Celery 5.7"
        yield DLQ_WITHOUT_LIMIT.at(("tasks", scope.name), message, help=help_text, related=related)
