"""How many messages a worker takes off its queues ahead of its slots.

Decides:
    `worker:NAME/prefetch_multiplier`, messages for each slot.

Because:
    A message that one worker holds in reserve waits behind that worker's running tasks while another
    worker may be idle. Only for very short tasks does the trip to the broker cost more than that
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#prefetch-limits).

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/prefetch_multiplier = 1

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope

NAME = "prefetch"

ONE_A_SLOT = 1
"""The least there is without late acknowledgement; with it, a worker holds no more than it runs."""
SHORT_TASKS_A_SLOT = 4
"""Celery's own default, made for short tasks."""
SHORT_RUN_SECONDS = 0.5
"""Four of these in reserve wait two seconds at the worst."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """One message a slot, four where every task is known to be short."""
    del spec
    for scope in plan.scopes("worker"):
        if plan.find(scope, "prefetch_multiplier") is not None:
            continue
        runs = [
            (p99 if isinstance(p99, int | float) else float("inf"), task)
            for task in (Scope("task", name) for name in plan.texts(scope, "tasks"))
            for p99 in (plan.get(task, "runtime_p99_seconds"),)
        ]
        seconds, task = max(runs, default=(float("inf"), scope))
        if seconds <= SHORT_RUN_SECONDS:
            because = "all its tasks are short: the trip to the broker costs more than a reserve"
            origins: tuple[Origin, ...] = (
                Derived(task, "runtime_p99_seconds"),
                Constant("SHORT_RUN_SECONDS", SHORT_RUN_SECONDS),
                Constant("SHORT_TASKS_A_SLOT", SHORT_TASKS_A_SLOT),
            )
            yield Decision(scope, "prefetch_multiplier", SHORT_TASKS_A_SLOT, because, origins)
        else:
            because = "a message held in reserve waits behind running tasks while another worker may be idle"
            origins = (Constant("ONE_A_SLOT", ONE_A_SLOT),)
            yield Decision(scope, "prefetch_multiplier", ONE_A_SLOT, because, origins)
