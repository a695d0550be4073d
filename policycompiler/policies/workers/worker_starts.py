"""Settings that keep a worker from starting, or from fetching messages.

Decides:
    Nothing.

Because:
    Celery reads these values only when a worker starts, so the error appears on the machine and not in the
    pipeline. `control_queue_durable` excludes `control_queue_exclusive`, which is on by default. RabbitMQ
    refuses consumers of a stream under Celery's global prefetch, and an `x-priority` that is not an integer.
    After `worker_eta_task_limit` delayed messages a worker fetches nothing until one of them is due
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-eta-task-limit).

Example:
    celery: {settings: {control_queue_durable: true}}
    tasks: {shop.a: {}}

    refuses worker-start-refused

Refuses:
    PC553 worker-start-refused: write a value that Celery and the broker accept.
        fires: celery: {settings: {control_queue_durable: true}}
        silent: celery: {settings: {control_queue_durable: true, control_queue_exclusive: false}}
    PC554 eta-limit-starves: remove the limit.
        fires:
            celery: {settings: {worker_eta_task_limit: 1}}
            tasks: {shop.a: {max_countdown: 10m}}
        silent:
            celery: {settings: {worker_eta_task_limit: 1}}
            tasks: {shop.a: {}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.worker_starts import delayed_starve, worker_starts
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "worker-starts"

WORKER_START_REFUSED = error("PC553", "worker-start-refused")
ETA_LIMIT_STARVES = warning("PC554", "eta-limit-starves")


def apply(_: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check what every worker reads when it starts."""
    found = chain(worker_starts(plan), delayed_starve(plan))
    return as_findings(found, WORKER_START_REFUSED, ETA_LIMIT_STARVES)
