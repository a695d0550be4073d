"""Retries of broadcast tasks.

Decides:
    Nothing.

Because:
    Celery publishes a retry to the exchange and routing key of the original message. For a broadcast queue
    this reaches every worker process, also those whose run succeeded. With three processes and three retries
    one message becomes up to 120 runs. For the same reason the policy worker-lost does not retry a broadcast
    task whose process dies.

Example:
    queues: {cache: {broadcast: true}}
    tasks: {shop.cache.drop: {queue: cache, idempotent: true, retry: {on: [ConnectionError], max: 3}}}

    refuses broadcast-retried

Refuses:
    PC461 broadcast-retried: write `retry: none`, or repeat the failing call inside the task.
        fires:
            queues: {q: {broadcast: true}}
            tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [ConnectionError], max: 3}}}
        silent:
            queues: {q: {broadcast: true}}
            tasks: {shop.a: {queue: q, idempotent: true, retry: none}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.broadcasts import broadcast_retries
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "broadcast-retries"

BROADCAST_RETRIED = error("PC461", "broadcast-retried")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each broadcast task that Celery retries automatically."""
    del spec
    return (hazard.as_finding(BROADCAST_RETRIED) for hazard in broadcast_retries(plan))
