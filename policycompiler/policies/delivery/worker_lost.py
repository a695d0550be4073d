"""What happens to a task whose worker process dies under it (killed for memory, say).

Decides:
    Of late-acknowledged tasks `task:NAME/options.retry_on_worker_lost` and, where `retry` is declared,
    `options.max_retries` and `options.default_retry_delay` (Celery 5.7), or
    `options.reject_on_worker_lost`; and `app/task_reject_on_worker_lost`.

Because:
    A late-acknowledged task whose process dies is by default acknowledged all the same and lost. Putting it
    back with `task_reject_on_worker_lost` repeats a task that kills its worker for ever, unless a quorum
    queue counts deliveries. Celery 5.7 retries it instead, and counts in `max_retries`, so a task that is
    declared to retry no error gets this many all the same; it waits `default_retry_delay`, three minutes
    unless it is told otherwise. A task of a broadcast is left alone: its retry would go to every process
    again. Where nothing is declared about retries, a decorator's own numbers stand, and else Celery's: three
    times, three minutes apart. A pinned number leaves the wait as it is, and so does `retry` without an error
    in `on`: the task's own calls of `retry` wait as long.

Example:
    tasks:
      shop.mail.send: {idempotent: true, retry: none}

    task:shop.mail.send/options.retry_on_worker_lost = true
    task:shop.mail.send/options.max_retries = 3
    task:shop.mail.send/options.default_retry_delay = 5
    app/task_reject_on_worker_lost = false

Refuses:
    PC202 worker-lost-loop: drop the pin; the compiler bounds it.
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
from policycompiler.hazards.endless_runs import FIRST_CELERY_THAT_COUNTS, counts_deliveries, killed_again
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import TaskFields, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope

NAME = "worker-lost"

WORKER_LOST_LOOP = error("PC202", "worker-lost-loop")

RESTARTS = 3
"""How often a task may kill its worker before it counts as failed."""
RESTART_DELAY_SECONDS = 5
"""Time for what killed the process (memory, mostly) to pass; Celery's own 180 s would be an outage."""
PUT_BACK_UNDECLARED = False
"""An undeclared task that kills its worker would kill the next one too, for ever."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Bounded retries for what is acknowledged late."""
    retries = plan.version(APP, "celery_version") >= FIRST_CELERY_THAT_COUNTS
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external") or not plan.value(scope, "options.acks_late"):
            continue
        queue = Scope("queue", plan.text(scope, "queue"))
        if plan.value(queue, "broadcast"):
            # A retry goes to every process again, and what is put back to the one that died.
            continue
        bounded = counts_deliveries(plan, scope)
        counts = retries and plan.get(scope, "options.retry_on_worker_lost") is not False
        if counts:
            yield from _retry(plan, scope, task)
        elif not retries and plan.find(scope, "options.reject_on_worker_lost") is None:
            because = (
                "the queue's delivery limit ends a task that keeps killing its worker"
                if bounded
                else "nothing would end a task that keeps killing its worker, so it counts as failed"
            )
            origins = (Derived(APP, "celery_version"), Derived(scope, "queue"))
            yield Decision(scope, "options.reject_on_worker_lost", bounded, because, origins)
    if plan.find(APP, "task_reject_on_worker_lost") is None:
        because = "an undeclared task that kills its worker would do so for ever"
        origins_app = (Constant("PUT_BACK_UNDECLARED", PUT_BACK_UNDECLARED),)
        yield Decision(APP, "task_reject_on_worker_lost", PUT_BACK_UNDECLARED, because, origins_app)
    yield from as_findings(killed_again(plan), WORKER_LOST_LOOP)


def _retry(plan: Plan, scope: Scope, task: TaskFields) -> Iterator[Decision]:
    if plan.find(scope, "options.retry_on_worker_lost") is None:
        because = "safe to run twice, so a run that died with its process is retried, and counted"
        origins = (Derived(scope, "options.acks_late"), Derived(APP, "celery_version"))
        late = plan.value(scope, "options.acks_late")
        yield Decision(scope, "options.retry_on_worker_lost", late, because, origins)
    decided = plan.find(scope, "options.max_retries")
    pinned = task.options is not None and task.options.max_retries is not None
    if decided is None:
        # Nothing is declared about retries, so the decorator's number stands; without one, Celery's own 3.
        return
    if decided.value == 0 and not pinned:
        because = (
            "no error is retried; these are restarts of a run that died with its process, and one that "
            "keeps dying counts as failed after them"
        )
        lost = (Derived(scope, "options.retry_on_worker_lost"), Constant("RESTARTS", RESTARTS))
        yield Decision(
            scope, "options.max_retries", RESTARTS, because, (*lost, *decided.origins), overrides=True
        )
    # Where no error is named, the task's own calls of `retry` wait that long too.
    automatic = bool(plan.get(scope, "options.autoretry_for"))
    declared = task.retry is not None and (automatic or task.retry.max == 0)
    if declared and plan.find(scope, "options.default_retry_delay") is None:
        because = "Celery would wait three minutes before it restarts what died with its process"
        delay = (Constant("RESTART_DELAY_SECONDS", RESTART_DELAY_SECONDS),)
        yield Decision(scope, "options.default_retry_delay", RESTART_DELAY_SECONDS, because, delay)
