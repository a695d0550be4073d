"""Exchanges that bring a message to more queues than one, to none, or that the broker refuses.

Decides:
    Nothing.

Because:
    Celery sends to a queue behind a direct exchange by its name, past the exchange; elsewhere by the queue's
    routing key to its exchange, which copies the message to every queue whose binding takes that key
    (https://www.rabbitmq.com/tutorials/amqp-concepts#exchange-topic). Each of them runs the task.

    A fanout exchange copies to all. RabbitMQ keeps a copy in each queue. Redis has nothing to keep it in:
    whoever is connected gets it, which is every process of a worker, and nobody else ever does; SQS has none
    unless its fan-out over SNS is turned on. An exchange has one type: a second declaration with another one
    is refused.

Example:
    queues:
      all-mail: {exchange: mail, exchange_type: topic, routing_key: "mail.#"}
      news: {exchange: mail, exchange_type: topic, routing_key: mail.news}
    tasks: {shop.mail.news: {queue: news}}

    refuses binding-overlap

Refuses:
    PC459 fanout-unkept: remove the exchange type, or declare a broadcast.
        fires: queues: {q: {exchange_type: fanout}}
        silent: queues: {q: {broadcast: true}}
    PC460 binding-overlap: give one of the queues an exchange of its own, or keys that do not overlap.
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
    PC472 exchange-type-twice: give both queues one exchange type, or one of them another exchange.
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
    """What the bindings of this plan do."""
    del spec
    return as_findings(bindings(plan), FANOUT_UNKEPT, BINDING_OVERLAP, EXCHANGE_TYPE_TWICE)
