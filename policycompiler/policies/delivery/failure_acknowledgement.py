"""Whether the message of a late-acknowledged task is acknowledged when the task fails or is killed.

Decides:
    On RabbitMQ, for late-acknowledged tasks of a queue with a dead-letter queue:
    `task:NAME/options.acks_on_failure` and `acks_on_timeout`. Before Celery 5.7:
    `acks_on_failure_or_timeout`, if the queue counts deliveries.

Because:
    By default Celery acknowledges the message of a failed task, so the broker does not see the failure. With
    `acks_on_failure: false` Celery rejects the message, and RabbitMQ moves it to the dead-letter queue. The
    messages of earlier retries are acknowledged, so one dead letter is kept, after the last retry.

    At the hard time limit an unacknowledged message returns to the queue instead, and the next run is killed
    too, without end. So this message is acknowledged, and the worker copies it to the dead-letter queue
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-acks-on-failure).

    Celery before 5.7 has one flag for failures and hard limits. With it only the delivery limit of a quorum
    queue, or the record of an `idempotency_key`, stops the repetition; elsewhere the worker copies failures
    too. The message of an early-acknowledged task is removed before the task runs. The worker copies it when
    the run fails, but if the whole worker dies, nobody can.

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
    PC213 dlq-needs-late-ack: make the task safe to run twice and declare it, if a run that ends with its
        worker must not be lost.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail}}
            queues: {mail: {dead_letter: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: mail, idempotent: true}}
            queues: {mail: {dead_letter: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, info
from policycompiler.hazards.dead_letters import LETTERS, kept_queues
from policycompiler.hazards.endless_runs import FIRST_CELERY_THAT_COUNTS, counts_runs, put_back
from policycompiler.hazards.hazard import as_findings
from policycompiler.knowledge.brokers import DeadLetters
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Written

NAME = "failure-acknowledgement"

LEGACY_ACK_FLAG = error("PC211", "legacy-ack-flag")
TIMEOUT_REQUEUE_LOOP = error("PC212", "timeout-requeue-loop")
DLQ_NEEDS_LATE_ACK = info("PC213", "dlq-needs-late-ack")

ACKS_LATE = "options.acks_late"
ACKS_ON_FAILURE = False
"""The message is rejected, so the broker keeps it."""
ACKS_ON_TIMEOUT = True
"""A message that returns to the queue is killed again."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Failures become dead letters where the queue keeps them; no message is redelivered without end."""
    two_flags = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    rejected = plan.broker.dead_letters is DeadLetters.ARGUMENTS
    for name in spec.tasks if rejected else ():
        scope = Scope("task", name)
        queue = Scope("queue", plan.text(scope, "queue"))
        late = not plan.value(scope, "external") and plan.value(scope, "options.acks_late")
        if late and plan.find(queue, "dead_letter_queue") is not None:
            yield from _rejected(plan, scope, queue, two_flags=two_flags)
    yield from _acknowledged_early(plan)
    yield from as_findings(put_back(plan), LEGACY_ACK_FLAG, TIMEOUT_REQUEUE_LOOP)


def _rejected(plan: Plan, scope: Scope, queue: Scope, *, two_flags: bool) -> Iterator[Decision]:
    origins = (Derived(queue, "dead_letter_queue"), Derived(scope, "options.acks_late"))
    failure = Constant("ACKS_ON_FAILURE", ACKS_ON_FAILURE)
    because = f"a message whose last retry fails goes to queue {plan.text(queue, 'dead_letter_queue')}"
    if two_flags:
        if plan.find(scope, "options.acks_on_failure") is None:
            yield Decision(scope, "options.acks_on_failure", ACKS_ON_FAILURE, because, (*origins, failure))
        if plan.find(scope, "options.acks_on_timeout") is None:
            timeout = Constant("ACKS_ON_TIMEOUT", ACKS_ON_TIMEOUT)
            because = (
                "an unacknowledged message is redelivered and killed at its hard limit again, without end"
            )
            yield Decision(scope, "options.acks_on_timeout", ACKS_ON_TIMEOUT, because, (*origins, timeout))
    elif counts_runs(plan, scope) and not plan.as_is(scope):
        version = Derived(APP, "celery_version")
        yield Decision(
            scope,
            "options.acks_on_failure_or_timeout",
            ACKS_ON_FAILURE,
            because,
            (*origins, failure, version),
        )


def _acknowledged_early(plan: Plan) -> Iterator[Diagnostic]:
    """Tasks whose messages are acknowledged before they run, so nothing is left if their worker dies."""
    for task, queue in kept_queues(plan):
        if plan.get(task, ACKS_LATE):
            continue
        path: SpecPath = ("tasks", task.name)
        for setting in (plan.setting(task, "idempotent"), plan.setting(task, ACKS_LATE)):
            origin = setting.origins[0]
            path = origin.path if isinstance(origin, Written) else path
        message = (
            f"a run of {task.name} leaves no dead letter in {plan.text(queue, LETTERS)} if its whole worker "
            "is killed: its message is acknowledged before it runs"
        )
        related = (Related(("queues", queue.name, "dead_letter"), "dead letters are kept here"),)
        help_text = "make the task safe to run twice and declare it, so that its message is redelivered"
        yield DLQ_NEEDS_LATE_ACK.at(path, message, help=help_text, related=related)
