"""Guards of tasks against the rest of the plan.

Decides:
    Nothing.

Because:
    A message that comes again after its record is forgotten has its effect again. It comes again after the
    visibility timeout of the broker, twice if its second worker dies too. A copy that was sent with it may
    have a countdown, wait until it expires, or be retried. The longest of these decides.

    A duplicate that is ignored leaves no result. Its caller waits for one, and the next task of its chain is
    not sent. With `duplicate: result` it gets the result of the first run.

    A task that has to wait is parked: its message is sent again. A broadcast queue gives it to every worker
    process again, and each that has to wait sends it again.

    A queue of RabbitMQ with `x-overflow: reject-publish` refuses a retry like any other message, and Celery
    drops a message whose retry cannot be sent. The `bound` of a queue lets running tasks send.

Example:
    tasks: {shop.charge: {idempotency_key: {key: payment_id, keep: 1h}, runtime: 1s}}

    refuses key-kept-short

Refuses:
    PC990 key-kept-short: keep the key longer.
        fires: tasks: {shop.a: {idempotency_key: {key: id, keep: 1h}, runtime: 1s}}
        silent: tasks: {shop.a: {idempotency_key: {key: id, keep: 1d}, runtime: 1s}}
    PC931 duplicate-unanswered: write `duplicate: result`.
        fires: tasks: {shop.a: {idempotency_key: {key: id, duplicate: ignore}, canvas: [chain]}}
        silent: tasks: {shop.a: {idempotency_key: {key: id, duplicate: result}, canvas: [chain]}}
    PC932 broadcast-guarded: remove the guard, or give the task a queue that is no broadcast.
        fires:
            queues: {q: {broadcast: true}}
            tasks: {shop.a: {queue: q, idempotency_key: id}}
        silent:
            queues: {q: {}}
            tasks: {shop.a: {queue: q, idempotency_key: id}}
    PC935 retries-refused: remove the argument, and declare a `bound`, which lets retries pass.
        fires:
            broker: {transport: rabbitmq, version: "3.13", url: "${B}"}
            tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [OSError]}}}
            queues: {q: {arguments: {x-max-length: 100, x-overflow: reject-publish}}}
        silent:
            broker: {transport: rabbitmq, version: "3.13", url: "${B}"}
            tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [OSError]}}}
            queues: {q: {bound: 100}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.guards import guards
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "guard-checks"

KEY_KEPT_SHORT = warning("PC990", "key-kept-short")
DUPLICATE_UNANSWERED = warning("PC931", "duplicate-unanswered")
BROADCAST_GUARDED = error("PC932", "broadcast-guarded")
RETRIES_REFUSED = warning("PC935", "retries-refused")


def apply(_: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each guard that other settings weaken."""
    return as_findings(guards(plan), KEY_KEPT_SHORT, DUPLICATE_UNANSWERED, BROADCAST_GUARDED, RETRIES_REFUSED)
