"""What the Celery and the RabbitMQ of a workload cannot do together.

Decides:
    Nothing.

Because:
    A feature may work in either of two programs and fail between them. A worker of a Celery before 5.5, or
    one that does not look for quorum queues, asks for a global prefetch, which RabbitMQ refuses of a quorum
    queue: it takes nothing, and tries again without end. Celery 5.5 and 5.6 before 5.6.3 send a delayed task
    again with the headers of its first delay; RabbitMQ before 4.0.1 takes that for a cycle of dead letters
    and drops it (https://github.com/celery/celery/issues/9867). RabbitMQ 4.3 refuses queues that are
    neither durable nor exclusive, as those of a worker for remote control are before Celery 5.6.

    A patch release that is not declared counts as the first of its minor version, the one without fixes;
    `celery.version` and `broker.version` take three numbers as well as two.

Example:
    celery: {version: "5.5"}
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
    queues: {mail: {type: quorum}}
    tasks: {shop.mail.send: {queue: mail, idempotent: true, retry: {on: [ConnectionError], max: 3}}}

    refuses delayed-retry-lost

Refuses:
    PC462 quorum-unsupported: run a Celery or RabbitMQ that has it, or use a classic queue.
        fires:
            celery: {settings: {worker_detect_quorum_queues: false}}
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
        silent:
            celery: {settings: {worker_detect_quorum_queues: true}}
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
    PC479 delayed-retry-lost: run a release with the fix and declare it, or use a classic queue.
        fires:
            celery: {version: "5.6"}
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [ConnectionError], max: 3}}}
        silent:
            celery: {version: "5.6.3"}
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [ConnectionError], max: 3}}}
    PC480 control-queues-refused: run a newer Celery.
        fires:
            celery: {version: "5.5"}
            broker: {transport: rabbitmq, url: "${B}", version: "4.3"}
        silent:
            celery: {version: "5.7"}
            broker: {transport: rabbitmq, url: "${B}", version: "4.3"}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.quorum import version_pairs
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "version-pairs"

QUORUM_UNSUPPORTED = error("PC462", "quorum-unsupported")
DELAYED_RETRY_LOST = error("PC479", "delayed-retry-lost")
CONTROL_QUEUES_REFUSED = error("PC480", "control-queues-refused")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Hold the declared versions against the known pairs."""
    del spec
    return as_findings(version_pairs(plan), QUORUM_UNSUPPORTED, DELAYED_RETRY_LOST, CONTROL_QUEUES_REFUSED)
