"""Features that fail with the workload's versions of Celery and RabbitMQ.

Decides:
    Nothing.

Because:
    A feature may exist in two programs and still fail between them.

    - Celery before 5.5 sets a global prefetch, which RabbitMQ refuses for quorum queues. So does a newer
      worker that does not detect quorum queues. The worker receives no messages and retries without end.
    - Celery 5.5 and newer, before 5.6.3, retries a delayed task with the headers of its first delay.
      RabbitMQ before 4.0.1 takes this for a cycle of dead letters and drops the message
      (https://github.com/celery/celery/issues/9867).
    - RabbitMQ 4.3 refuses queues that are neither durable nor exclusive. Before Celery 5.6 the
      remote-control queues of a worker are such queues.

    If no patch release is declared, the first one of the minor version is assumed, which has no fixes.
    `celery.version` and `broker.version` accept two or three numbers.

Example:
    celery: {version: "5.5"}
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
    queues: {mail: {type: quorum}}
    tasks: {shop.mail.send: {queue: mail, idempotent: true, retry: {on: [ConnectionError], max: 3}}}

    refuses delayed-retry-lost

Refuses:
    PC462 quorum-unsupported: run a Celery or RabbitMQ that supports it, or use a classic queue.
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
    """Compare the declared versions with the known pairs."""
    del spec
    return as_findings(version_pairs(plan), QUORUM_UNSUPPORTED, DELAYED_RETRY_LOST, CONTROL_QUEUES_REFUSED)
