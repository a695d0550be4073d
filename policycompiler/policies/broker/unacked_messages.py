"""Messages that a worker holds longer than RabbitMQ allows: its channel closes, and the worker exits.

Decides:
    Nothing.

Because:
    RabbitMQ's `consumer_timeout` is 30 min by default. If a worker does not acknowledge a message within it,
    RabbitMQ closes the channel, for every type of queue. The worker loses all its runs
    (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).

    A worker holds a message:

    - during the run of a task that is acknowledged late
    - while it is prefetched behind another run, or waits for a rate limit
    - during a countdown or the wait before a retry, unless the broker delays it

    A worker of quorum queues has a prefetch limit for each queue. The last prefetched message waits until the
    rate limit has let all before it run. The finding ignores undeclared tasks, and messages prefetched behind
    tasks without declared run time.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.reports.yearly: {latency: batch, idempotent: true, runtime: 2h}}

    refuses unacked-over-consumer-timeout

Refuses:
    PC317 unacked-over-consumer-timeout: declare a higher limit for the queue, make the times shorter, or let
        a worker prefetch fewer rate-limited messages.
        fires:
            broker: {transport: rabbitmq, url: "${B}"}
            tasks: {shop.a: {queue: q, idempotent: true, runtime: 25m, latency: batch}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {arguments: {x-consumer-timeout: 7200000}}}
            tasks: {shop.a: {queue: q, idempotent: true, runtime: 25m, latency: batch}}
    PC429 reserve-over-consumer-timeout: acknowledge the task late if it is safe to run twice, or declare a
        higher limit for the queue.
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
    """Report messages that a worker holds longer than RabbitMQ allows."""
    del spec
    return as_findings(consumer_timeouts(plan), UNACKED_OVER_CONSUMER_TIMEOUT, RESERVE_OVER_CONSUMER_TIMEOUT)
