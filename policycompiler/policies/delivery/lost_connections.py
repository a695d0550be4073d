"""What a worker's pool makes of a lost connection.

Decides:
    Nothing.

Because:
    When a worker loses its broker, the broker gives what is not acknowledged to another one. Celery can end
    the runs that are repeated so, but only where the pool can end one: prefork, gevent and eventlet can,
    threads and solo cannot. Celery before 5.7 then ends the worker with an error, and 5.7 goes on with both.

    A solo pool runs a task in the worker's main loop, which sends no heartbeat meanwhile. RabbitMQ closes a
    connection that is silent for its heartbeat timeout, 60 s by default
    (https://www.rabbitmq.com/docs/heartbeats). A task that is acknowledged late and runs longer is never
    acknowledged: it ends, is delivered again, and so without end. A smaller `broker_heartbeat` shortens that
    time, and 0 turns heartbeats off.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.a: {queue: q, idempotent: true, runtime: 4m}}
    workers: {q: {pool: solo}}

    refuses solo-heartbeat
    refuses pool-time-limit-unkept

Refuses:
    PC470 cancel-impossible: remove the setting, or use prefork.
        when: it is pinned, and a worker whose pool cannot end a run has a task that is acknowledged late.
    PC471 solo-heartbeat: use prefork or threads.
        when: a solo worker on RabbitMQ has a late-acknowledged task that outlasts the heartbeat.

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
    """Of each worker, what it does when its connection goes."""
    del spec
    return as_findings(lost_connections(plan), CANCEL_IMPOSSIBLE, SOLO_HEARTBEAT)
