"""What happens to a task when its child process dies, for example killed for using too much memory.

Decides:
    For late-acknowledged tasks: `task:NAME/options.retry_on_worker_lost` (Celery 5.7 and newer), or
    `options.reject_on_worker_lost` (older Celery, and tasks with `idempotency_key`). Where `retry` is
    declared, also `options.max_retries` and `options.default_retry_delay` (Celery 5.7 and newer). For all
    tasks: `app/task_reject_on_worker_lost`.

Because:
    When the process of a late-acknowledged task dies, Celery by default acknowledges the message, and the
    task is lost. `task_reject_on_worker_lost` returns the message to the queue. A task that kills its process
    then repeats without end, unless a quorum queue counts deliveries.

    Celery 5.7 can retry the task instead and counts these retries in `max_retries`. So even a task that
    declares `retry: none` gets a number of retries. Each waits `default_retry_delay`, three minutes by
    default. If the workload declares nothing about retries, the numbers in the task's decorator apply. If
    the decorator has none, Celery's defaults apply: three retries, three minutes apart.

    The record of an `idempotency_key` counts lost runs itself, and the task fails after three further ones.
    So the message of such a task returns to the queue at once, and uses no retry. Not on a queue that limits
    deliveries, as a quorum queue does: it would drop the message first.

    A pinned `max_retries` leaves the wait unchanged. So does `retry` without errors in `on`, because the
    task's own `retry` calls wait `default_retry_delay` too. Tasks of a broadcast queue get no retry, because
    a retry goes to every worker process again.

Example:
    tasks:
      shop.mail.send: {idempotent: true, retry: none}
      shop.charge: {idempotency_key: payment_id, runtime: 1s}

    task:shop.mail.send/options.retry_on_worker_lost = true
    task:shop.mail.send/options.max_retries = 3
    task:shop.mail.send/options.default_retry_delay = 5
    app/task_reject_on_worker_lost = false
    task:shop.charge/options.reject_on_worker_lost = true
    task:shop.charge/options.retry_on_worker_lost = false

Refuses:
    PC202 worker-lost-loop: remove the pin; the compiler then limits the repetitions.
        fires:
            celery: {version: "5.6"}
            tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: true}}}
        silent:
            celery: {version: "5.7"}
            tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: true}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.endless_runs import (
    FIRST_CELERY_THAT_COUNTS,
    counts_deliveries,
    killed_again,
    record_counts,
)
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import TaskFields, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope

NAME = "worker-lost"

WORKER_LOST_LOOP = error("PC202", "worker-lost-loop")

RETRY, REJECT = "options.retry_on_worker_lost", "options.reject_on_worker_lost"
RESTARTS = 3
"""How often a task may kill its process before it counts as failed."""
RESTART_DELAY_SECONDS = 5
"""Time for the cause (mostly a lack of memory) to pass; Celery's default of 3 min would be an outage."""
_RESTART_DELAY = (Constant("RESTART_DELAY_SECONDS", RESTART_DELAY_SECONDS),)
PUT_BACK_UNDECLARED = False
"""An undeclared task that kills its process would kill the next one too, without end."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """A limited number of further runs for tasks that are acknowledged late."""
    retries = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external") or not plan.value(scope, "options.acks_late"):
            continue
        queue = Scope("queue", plan.text(scope, "queue"))
        if plan.value(queue, "broadcast"):
            # A retry goes to every process again; a rejected message goes to the process that died.
            continue
        bounded = counts_deliveries(plan, scope)
        # A queue with a limit would drop the message before the record fails the task.
        keyed = record_counts(plan, scope) and not bounded and plan.get(scope, REJECT) is not False
        pinned = plan.get(scope, RETRY)
        if retries and (pinned or (pinned is None and not keyed)):
            yield from _retry(plan, scope, task)
        elif keyed:
            yield from _returned(plan, scope, retries=retries)
        elif not retries and plan.find(scope, REJECT) is None:
            because = (
                "the queue's delivery limit stops a task that keeps killing its process"
                if bounded
                else "nothing would stop a task that keeps killing its process, so one loss is a failure"
            )
            origins = (Derived(APP, "celery_version"), Derived(scope, "queue"))
            yield Decision(scope, REJECT, bounded, because, origins)
    if plan.find(APP, "task_reject_on_worker_lost") is None:
        because = "otherwise an undeclared task that kills its process would kill one process after the other"
        origins_app = (Constant("PUT_BACK_UNDECLARED", PUT_BACK_UNDECLARED),)
        yield Decision(APP, "task_reject_on_worker_lost", PUT_BACK_UNDECLARED, because, origins_app)
    yield from as_findings(killed_again(plan), WORKER_LOST_LOOP)


def _returned(plan: Plan, scope: Scope, *, retries: bool) -> Iterator[Decision]:
    """A task whose record stops it when it keeps killing its process."""
    origins = (Derived(scope, "idempotency_key"), Derived(scope, "idempotency_on_store_error"))
    values = {REJECT: True, RETRY: False} if retries else {REJECT: True}
    because = "the record of its key counts lost runs, so the message returns at once and uses no retry"
    for key, value in values.items():
        if plan.find(scope, key) is None:
            yield Decision(scope, key, value, because, origins)


def _retry(plan: Plan, scope: Scope, task: TaskFields) -> Iterator[Decision]:
    if plan.find(scope, RETRY) is None:
        because = "the task is safe to run twice, so Celery retries a run whose process died, and counts it"
        origins = (Derived(scope, "options.acks_late"), Derived(APP, "celery_version"))
        late = plan.value(scope, "options.acks_late")
        yield Decision(scope, RETRY, late, because, origins)
    decided = plan.find(scope, "options.max_retries")
    pinned = task.options is not None and task.options.max_retries is not None
    if decided is None:
        # Nothing is declared about retries, so the decorator's number applies; without one, Celery's 3.
        return
    if decided.value == 0 and not pinned:
        because = (
            "no error is retried, so this counts only restarts of a run whose process died; after the last "
            "one the task fails"
        )
        lost = (Derived(scope, RETRY), Constant("RESTARTS", RESTARTS))
        yield Decision(
            scope, "options.max_retries", RESTARTS, because, (*lost, *decided.origins), overrides=True
        )
    # Where no error is named, the task's own calls of `retry` also wait this long.
    automatic = bool(plan.get(scope, "options.autoretry_for"))
    declared = task.retry is not None and (automatic or task.retry.max == 0)
    if declared and plan.find(scope, "options.default_retry_delay") is None:
        because = "Celery would wait 3 min before it restarts a run whose process died"
        yield Decision(scope, "options.default_retry_delay", RESTART_DELAY_SECONDS, because, _RESTART_DELAY)
