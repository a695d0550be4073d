"""Schedules that send many messages in the same minute.

Decides:
    Nothing.

Because:
    Many crontabs say midnight or the full hour. Then beat sends their messages within a second. A worker with
    fewer slots than messages starts the last ones late, and other messages of its queues wait behind them.
    Intervals count from the start of beat, so equal ones meet each time
    (https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html).

Example:
    tasks: {"shop.sync.*": {latency: interactive, work: cpu, runtime: 20s}}
    workers: {all: {queues: ["*"], concurrency: 2}}
    schedules:
      a: {task: shop.sync.a, cron: "0 3 * * *"}
      b: {task: shop.sync.b, cron: "0 3 * * *"}
      c: {task: shop.sync.c, cron: "0 3 * * 1"}

    refuses schedules-crowded

Refuses:
    PC986 schedules-crowded: spread the times, or choose a latency class that waits longer.
        fires:
            tasks: {"shop.sync.*": {latency: interactive, runtime: 20s}}
            workers: {all: {queues: ["*"], concurrency: 1}}
            schedules:
              a: {task: shop.sync.a, cron: "0 3 * * *"}
              b: {task: shop.sync.b, cron: "0 3 * * *"}
        silent:
            tasks: {"shop.sync.*": {latency: interactive, runtime: 20s}}
            workers: {all: {queues: ["*"], concurrency: 1}}
            schedules:
              a: {task: shop.sync.a, cron: "0 3 * * *"}
              b: {task: shop.sync.b, cron: "5 3 * * *"}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.schedule_bursts import crowded_minutes
from policycompiler.model import Workload
from policycompiler.plan import Plan
from policycompiler.plan.lines import worker_lines

NAME = "schedule-bursts"

SCHEDULES_CROWDED = warning("PC986", "schedules-crowded")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at each worker's most crowded minute."""
    del spec
    if plan.scopes("schedule"):
        yield from as_findings(crowded_minutes(plan, worker_lines(plan)), SCHEDULES_CROWDED)
