"""RabbitMQ closes the channel of a worker that holds a message for too long, and the worker exits.

Decides:
    Nothing.

Because:
    A message that is not acknowledged within RabbitMQ's `consumer_timeout`, half an hour unless it is
    raised, costs its worker the channel and with it every task that runs there, whatever the kind of queue
    (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout). A message is held while a task runs
    that is acknowledged late; while it waits in a worker's reserve behind one that runs, or for a rate limit;
    and, where the broker does not delay natively, through a countdown or the wait before a retry. A worker of
    quorum queues has a reserve for each queue. The last of a full reserve waits until the limit has let all
    before it run. What waits in reserve behind a task of undeclared run time is not judged, nor is a task
    that nobody declared.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.reports.yearly: {latency: batch, idempotent: true, runtime: 2h}}

    refuses unacked-over-consumer-timeout

Refuses:
    PC317 unacked-over-consumer-timeout: declare the queue's higher limit, make the times shorter, or let a
        worker hold fewer messages of a rate-limited task.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q, idempotent: true, runtime: 25m, latency: batch}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {arguments: {x-consumer-timeout: 7200000}}}
            tasks: {shop.a: {queue: q, idempotent: true, runtime: 25m, latency: batch}}
    PC429 reserve-over-consumer-timeout: acknowledge the task late if it may run twice, or declare a higher
        limit for the queue.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q, runtime: 25m, latency: batch}}
        silent:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q, runtime: 15m, latency: batch}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.consumer_timeouts import consumer_timeouts
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "unacked-messages"

UNACKED_OVER_CONSUMER_TIMEOUT = error("PC317", "unacked-over-consumer-timeout")
RESERVE_OVER_CONSUMER_TIMEOUT = error("PC429", "reserve-over-consumer-timeout")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Nothing holds a message for as long as RabbitMQ bears."""
    del spec
    return as_findings(consumer_timeouts(plan), UNACKED_OVER_CONSUMER_TIMEOUT, RESERVE_OVER_CONSUMER_TIMEOUT)
