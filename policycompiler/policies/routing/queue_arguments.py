"""Queue arguments that delete a queue with its messages, or that the broker refuses.

Decides:
    Nothing.

Because:
    `x-expires` deletes a queue that had no consumer for this time, with its messages. The messages do not
    become dead letters (https://www.rabbitmq.com/docs/ttl#queue-ttl). A deployment, a crash loop or a scale
    to zero is enough. kombu does the same on Redis. RabbitMQ refuses (406) a quorum queue with priority
    levels, also if `task_queue_max_priority` adds them to every queue. It also refuses some arguments of one
    queue type for the other type.

    A quorum queue drops a message that returned more often than its delivery limit, or makes it a dead
    letter. From RabbitMQ 4 on, a queue that declares no limit has a limit of 20. Before, and in classic
    queues, a message may return without end.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    queues: {mail: {arguments: {x-expires: 60000}}}
    tasks: {shop.mail.send: {queue: mail}}

    refuses queue-expires

Refuses:
    PC417 delivery-limit-missing: remove the argument, or write a limit of 1 or more.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: q}}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: -1}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {idempotent: true, queue: q}}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: 10}}}
    PC463 queue-argument-refused: remove the argument or the setting, or choose the other queue type.
        fires:
            celery: {settings: {task_queue_max_priority: 3}}
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
        silent:
            celery: {settings: {task_queue_max_priority: 3}}
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: classic}}
    PC467 queue-expires: remove the argument; declare `expires` for tasks that become useless.
        fires:
            queues: {q: {arguments: {x-expires: 60000}}}
            tasks: {shop.a: {queue: q}}
        silent:
            queues: {q: {broadcast: true, arguments: {x-expires: 60000}}}
            tasks: {shop.a: {queue: q}}
    PC558 delivery-limit-zero: remove the argument, or write 1 or more.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: 0}}}
            tasks: {shop.a: {queue: q, idempotent: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, arguments: {x-delivery-limit: 1}}}
            tasks: {shop.a: {queue: q, idempotent: true}}
    PC926 delivery-limit-drops: write `dead_letter: true` in the queue.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum}}
            tasks: {shop.a: {queue: q, idempotent: true, critical: true}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            queues: {q: {type: quorum, dead_letter: true}}
            tasks: {shop.a: {queue: q, idempotent: true, critical: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.queue_arguments import queue_arguments
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "queue-arguments"

DELIVERY_LIMIT_MISSING = error("PC417", "delivery-limit-missing")
QUEUE_ARGUMENT_REFUSED = error("PC463", "queue-argument-refused")
QUEUE_EXPIRES = warning("PC467", "queue-expires")
DELIVERY_LIMIT_ZERO = warning("PC558", "delivery-limit-zero")
DELIVERY_LIMIT_DROPS = warning("PC926", "delivery-limit-drops")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the arguments of each queue."""
    del spec
    return as_findings(
        queue_arguments(plan),
        QUEUE_ARGUMENT_REFUSED,
        QUEUE_EXPIRES,
        DELIVERY_LIMIT_ZERO,
        DELIVERY_LIMIT_DROPS,
        DELIVERY_LIMIT_MISSING,
    )
