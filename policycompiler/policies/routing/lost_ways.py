"""Messages that no worker can receive: folders, names and routing keys that do not fit together.

Decides:
    Nothing.

Because:
    With the file system as broker, every process writes to `data_folder_out` and reads from
    `data_folder_in`, and all processes share one configuration. In Redis, kombu keeps unacknowledged
    messages under its own keys, so a queue of the same name fails. A topic exchange discards a message
    whose routing key matches no binding
    (https://docs.celeryq.dev/en/stable/userguide/routing.html#topic-exchanges).

Example:
    queues: {c: {exchange: work, exchange_type: topic, routing_key: "c.#"}}
    tasks: {shop.a: {queue: c}}
    schedules: {s: {task: shop.a, every: 1h, options: {routing_key: nope}}}

    refuses routing-key-unmatched

Refuses:
    PC555 folders-apart: write the same folder for both options.
        fires:
            broker:
                transport: filesystem
                url: "filesystem://"
                options: {data_folder_in: /a, data_folder_out: /b}
        silent:
            broker:
                transport: filesystem
                url: "filesystem://"
                options: {data_folder_in: /a, data_folder_out: /a}
    PC556 queue-name-reserved: rename the queue.
        fires: tasks: {shop.a: {queue: unacked}}
        silent: tasks: {shop.a: {queue: acked}}
    PC557 routing-key-unmatched: remove the routing key, or change the binding.
        fires:
            queues: {c: {exchange: work, exchange_type: topic, routing_key: "c.#"}}
            tasks: {shop.a: {queue: c}}
            schedules: {s: {task: shop.a, every: 1h, options: {routing_key: nope}}}
        silent:
            queues: {c: {exchange: work, exchange_type: topic, routing_key: "c.#"}}
            tasks: {shop.a: {queue: c}}
            schedules: {s: {task: shop.a, every: 1h, options: {routing_key: c.d}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.lost_ways import lost_ways
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "lost-ways"

FOLDERS_APART = error("PC555", "folders-apart")
QUEUE_NAME_RESERVED = error("PC556", "queue-name-reserved")
ROUTING_KEY_UNMATCHED = error("PC557", "routing-key-unmatched")


def apply(_: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check folders, queue names and the routing keys of schedules."""
    return as_findings(lost_ways(plan), FOLDERS_APART, QUEUE_NAME_RESERVED, ROUTING_KEY_UNMATCHED)
