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

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Written

NAME = "failure-acknowledgement"

LEGACY_ACK_FLAG = error("PC211", "legacy-ack-flag")
TIMEOUT_REQUEUE_LOOP = error("PC212", "timeout-requeue-loop")
DLQ_NEEDS_LATE_ACK = error("PC213", "dlq-needs-late-ack")
DLQ_WITHOUT_LIMIT = warning("PC214", "dlq-without-limit", Profile.MINIMAL)

FIRST_CELERY_WITH_TWO_FLAGS = (5, 7)
"""Older ones ignore `acks_on_failure` and `acks_on_timeout` in silence; newer ones read the flag for both
only from a decorator or a setting."""
ACKS_ON_FAILURE = False
"""Rejected, so that the broker keeps the message."""
ACKS_ON_TIMEOUT = True
"""What is put back is killed again."""

_LEGACY = "task_acks_on_failure_or_timeout"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Failures to the dead letters where there are any; nothing put back for ever."""
    two_flags = plan.version(APP, "celery_version") >= FIRST_CELERY_WITH_TWO_FLAGS
    late = []
    for name in spec.tasks:
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        queue = Scope("queue", plan.text(scope, "queue"))
        if plan.value(scope, "options.acks_late"):
            late.append(scope)
            if two_flags and plan.get(scope, "options.acks_on_timeout") is False:
                yield from _put_back(plan, scope)
            if plan.find(queue, "dead_letter_queue") is not None:
                yield from _kept(plan, scope, queue, two_flags=two_flags)
        elif plan.find(queue, "dead_letter_queue") is not None:
            yield _too_early(plan, scope, queue)
    yield from _app_wide(plan, late, two_flags=two_flags)


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
    elif _counts_deliveries(plan, queue):
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


def _too_early(plan: Plan, scope: Scope, queue: Scope) -> Diagnostic:
    pinned = plan.setting(scope, "options.acks_late").origins[0]
    declared = plan.setting(scope, "idempotent").origins[0]
    path: SpecPath = ("tasks", scope.name)
    for origin in (declared, pinned):
        path = origin.path if isinstance(origin, Written) else path
    message = (
        f"queue {queue.name} keeps dead letters, but a failure of {scope.name} leaves none: "
        "it is acknowledged before it runs"
    )
    help_text = (
        "make the task safe to run twice and declare it, or give it a queue without `dead_letter: true`"
    )
    related = (Related(("queues", queue.name, "dead_letter"), "asked for here"),)
    return DLQ_NEEDS_LATE_ACK.at(path, message, help=help_text, related=related)


def _put_back(plan: Plan, scope: Scope) -> Iterator[Diagnostic]:
    if not _counts_deliveries(plan, Scope("queue", plan.text(scope, "queue"))):
        limit = plan.number_if_any(scope, "options.time_limit")
        at = "a hard limit" if limit is None else f"its hard limit of {limit:g} s"
        message = (
            f"{scope.name} is put back when it is killed at {at}, and killed again, for ever: nothing counts "
            "how often"
        )
        path = ("tasks", scope.name, "options", "acks_on_timeout")
        help_text = "remove it, or use a quorum queue with a delivery limit"
        yield TIMEOUT_REQUEUE_LOOP.at(path, message, help=help_text)


def _app_wide(plan: Plan, late: list[Scope], *, two_flags: bool) -> Iterator[Diagnostic]:
    """Pins for all tasks: the flag that is going, and a loop for each late task that does not say itself."""
    if two_flags and plan.get(APP, _LEGACY) is False:
        message = (
            f"`{_LEGACY}: false` also puts back what was killed at its hard limit; "
            "Celery 5.7 has a flag for each"
        )
        help_text = "write `task_acks_on_failure: false` and `task_acks_on_timeout: true`"
        yield LEGACY_ACK_FLAG.at(("celery", "settings", _LEGACY), message, help=help_text)
        return
    setting = "task_acks_on_timeout" if two_flags else _LEGACY
    if plan.get(APP, setting) is not False:
        return
    for scope in late:
        own = plan.find(scope, "options.acks_on_timeout") is not None and two_flags
        if not own and not _counts_deliveries(plan, Scope("queue", plan.text(scope, "queue"))):
            message = (
                f"`{setting}: false` puts a late task back when it is killed at its hard limit, for ever: "
                f"nothing counts how often, for instance for {scope.name}"
            )
            help_text = "remove it, or use quorum queues with a delivery limit"
            path: SpecPath = ("celery", "settings", setting)
            yield TIMEOUT_REQUEUE_LOOP.at(path, message, help=help_text)
            return


def _counts_deliveries(plan: Plan, queue: Scope) -> bool:
    return plan.find(queue, "arguments.x-delivery-limit") is not None
