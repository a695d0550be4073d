"""What a worker's pool does when the connection to the broker is lost.

Decides:
    Nothing.

Because:
    When a worker loses its connection, the broker redelivers its unacknowledged messages to another worker.
    Celery can cancel the runs that are then repeated, if the pool supports it. Prefork, gevent and eventlet
    support it; threads and solo do not. Without support, Celery before 5.7 stops the worker with an error,
    and Celery 5.7 continues both runs.

    A solo pool runs a task in the worker's main loop, which sends no heartbeats during the run. RabbitMQ
    closes a connection without heartbeats after its heartbeat timeout, 60 s by default
    (https://www.rabbitmq.com/docs/heartbeats). A late-acknowledged task that runs longer is never
    acknowledged: it ends, the broker redelivers it, and it runs again without end. A smaller
    `broker_heartbeat` shortens the timeout, and 0 turns heartbeats off.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.a: {queue: q, idempotent: true, runtime: 4m}}
    workers: {q: {pool: solo}}

    refuses solo-heartbeat
    refuses pool-time-limit-unkept

Refuses:
    PC470 cancel-impossible: remove the setting, or use prefork.
        when: it is pinned, and a worker whose pool cannot cancel a run has a late-acknowledged task.
    PC471 solo-heartbeat: use prefork or threads.
        when: a solo worker on RabbitMQ runs a late-acknowledged task for longer than the heartbeat timeout.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.lost_connections import lost_connections
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "lost-connections"

CANCEL_IMPOSSIBLE = error("PC470", "cancel-impossible")
SOLO_HEARTBEAT = error("PC471", "solo-heartbeat")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """What each worker does when its connection is lost."""
    del spec
    return as_findings(lost_connections(plan), CANCEL_IMPOSSIBLE, SOLO_HEARTBEAT)
