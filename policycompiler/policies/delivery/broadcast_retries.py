"""Retries of a task that every worker process gets.

Decides:
    Nothing.

Because:
    Celery sends a retry to the exchange and with the routing key that the message came by. Behind a broadcast
    that is every worker process, those included whose run was fine: with three processes and three retries
    one message becomes up to 120 runs. So a broadcast task is not retried when its process dies either; the
    policy worker-lost leaves that out.

Example:
    queues: {cache: {broadcast: true}}
    tasks: {shop.cache.drop: {queue: cache, idempotent: true, retry: {on: [ConnectionError], max: 3}}}

    refuses broadcast-retried

Refuses:
    PC461 broadcast-retried: do not retry it, or try again inside the task.
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
    """Each task of a broadcast that Celery sends again by itself."""
    del spec
    return (hazard.as_finding(BROADCAST_RETRIED) for hazard in broadcast_retries(plan))
