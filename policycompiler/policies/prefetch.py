"""How many messages a worker takes off its queues ahead of its slots.

Decides:
    `worker:NAME/prefetch_multiplier`, messages for each slot.

Because:
    A message that one worker holds in reserve waits behind that worker's running tasks while another
    worker may be idle. Only for very short tasks does the trip to the broker cost more than that, and only
    a reserve that is done within the promise of each queue breaks none
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#prefetch-limits).

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/prefetch_multiplier = 1

Refuses:
    PC412 prefetch-unlimited: set a number, 1 where in doubt.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, warning
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope

NAME = "prefetch"

PREFETCH_UNLIMITED = warning("PC412", "prefetch-unlimited")

ONE_A_SLOT = 1
"""The least there is without late acknowledgement; with it, a worker holds no more than it runs."""
SHORT_TASKS_A_SLOT = 4
"""Celery's own default, made for short tasks."""
SHORT_RUN_SECONDS = 0.5
"""Above this, a trip to the broker of some milliseconds costs next to nothing."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """One message a slot, four where every task is known to be short beside its queue's promise."""
    for scope in plan.scopes("worker"):
        if plan.find(scope, "prefetch_multiplier") is not None:
            if plan.value(scope, "prefetch_multiplier") == 0:
                yield _unlimited(spec, scope)
            continue
        runs = [
            (math.inf if p99 is None else p99, task)
            for task in (Scope("task", name) for name in plan.texts(scope, "tasks"))
            for p99 in (plan.number_if_any(task, "runtime_p99_seconds"),)
        ]
        seconds, task = max(runs, default=(math.inf, scope))
        queues = [Scope("queue", name) for name in plan.texts(scope, "queues")]
        promises = [(plan.number(queue, "queue_wait_seconds"), queue) for queue in queues]
        promise, queue = min(promises, default=(0, scope))
        if seconds <= SHORT_RUN_SECONDS and seconds * SHORT_TASKS_A_SLOT <= promise:
            because = (
                "all its tasks are short: the trip to the broker costs more than a reserve, "
                f"which is done within the promised {promise:g} s"
            )
            origins: tuple[Origin, ...] = (
                Derived(task, "runtime_p99_seconds"),
                Derived(queue, "queue_wait_seconds"),
                Constant("SHORT_RUN_SECONDS", SHORT_RUN_SECONDS),
                Constant("SHORT_TASKS_A_SLOT", SHORT_TASKS_A_SLOT),
            )
            yield Decision(scope, "prefetch_multiplier", SHORT_TASKS_A_SLOT, because, origins)
        else:
            because = "a message held in reserve waits behind running tasks while another worker may be idle"
            origins = (Constant("ONE_A_SLOT", ONE_A_SLOT),)
            yield Decision(scope, "prefetch_multiplier", ONE_A_SLOT, because, origins)


def _unlimited(spec: Workload, scope: Scope) -> Diagnostic:
    path: SpecPath = ("workers", scope.name, "options", "prefetch_multiplier")
    if scope.name not in spec.workers:
        path = ("celery", "settings", "worker_prefetch_multiplier")
    message = f"worker {scope.name} takes every message there is into its memory, and other workers get none"
    return PREFETCH_UNLIMITED.at(path, message, help="set a number, 1 where in doubt")
