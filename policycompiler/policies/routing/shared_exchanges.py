"""Exchanges that route a message to several queues or to none, or that the broker refuses.

Decides:
    Nothing.

Because:
    To a queue with a direct exchange Celery publishes by the queue's name and bypasses the exchange. To other
    queues it publishes to the exchange with the queue's routing key. The exchange copies the message to every
    queue whose binding matches the key (https://www.rabbitmq.com/tutorials/amqp-concepts#exchange-topic). A
    worker of each of these queues runs the task.

    A fanout exchange copies a message to all its queues. RabbitMQ keeps a copy in each queue. Redis keeps no
    copy: only worker processes that are connected get the message. SQS has no fanout unless its fan-out over
    SNS is turned on. An exchange has one type: the broker refuses a second declaration with another type.

Example:
    queues:
      all-mail: {exchange: mail, exchange_type: topic, routing_key: "mail.#"}
      news: {exchange: mail, exchange_type: topic, routing_key: mail.news}
    tasks: {shop.mail.news: {queue: news}}

    refuses binding-overlap

Refuses:
    PC459 fanout-unkept: remove `exchange_type`, or write `broadcast: true`.
        fires: queues: {q: {exchange_type: fanout}}
        silent: queues: {q: {broadcast: true}}
    PC460 binding-overlap: give one of the queues its own exchange, or use keys that do not overlap.
        fires:
            queues:
              qa: {exchange: tasks, exchange_type: topic, routing_key: task.#}
              qb: {exchange: tasks, exchange_type: topic, routing_key: task.b}
            tasks: {shop.b: {queue: qb}}
        silent:
            queues:
              qa: {exchange: tasks, exchange_type: topic, routing_key: task.a}
              qb: {exchange: tasks, exchange_type: topic, routing_key: task.b}
            tasks: {shop.b: {queue: qb}}
    PC472 exchange-type-twice: give both queues the same exchange type, or give one of them another exchange.
        fires:
            queues:
              qa: {exchange: tasks, exchange_type: topic}
              qb: {exchange: tasks, exchange_type: direct}
        silent:
            queues:
              qa: {exchange: tasks, exchange_type: topic}
              qb: {exchange: tasks, exchange_type: topic}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.bindings import bindings
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "shared-exchanges"

FANOUT_UNKEPT = error("PC459", "fanout-unkept")
BINDING_OVERLAP = error("PC460", "binding-overlap")
EXCHANGE_TYPE_TWICE = error("PC472", "exchange-type-twice")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the bindings of the plan."""
    del spec
    return as_findings(bindings(plan), FANOUT_UNKEPT, BINDING_OVERLAP, EXCHANGE_TYPE_TWICE)
