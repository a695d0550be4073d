"""For how long RabbitMQ lets a worker hold a message.

Decides:
    `queue:NAME/consumer_timeout_seconds`, on RabbitMQ, of each queue that is consumed here.

Because:
    A message that is not acknowledged within RabbitMQ's `consumer_timeout`, half an hour unless it is raised,
    costs its worker the channel, whatever the kind of queue
    (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout). Nothing in a workload tells of a
    `consumer_timeout` that rabbitmq.conf raises, so the policy file does. The argument `x-consumer-timeout`
    of a queue or a consumer, in milliseconds, raises it for that queue, from RabbitMQ 3.12 on, and so does a
    policy of RabbitMQ with `consumer-timeout`.

Example:
    broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}"}
    tasks: {shop.reports.yearly: {queue: reports}}

    queue:reports/consumer_timeout_seconds = 1800

Refuses:
    Nothing.

Parameters:
    `limit_seconds`: the `consumer_timeout` of the platform's rabbitmq.conf, in seconds; 1800.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Derived, Parameter, Plan, Scope

NAME = "consumer-timeout"

ARGUMENT = "x-consumer-timeout"
"""Of a queue or a consumer, in milliseconds."""
FIRST_RABBITMQ_WITH_ARGUMENT = (3, 12)
"""Older ones ignore the argument."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    limit_seconds: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        1800,
        description="what rabbitmq.conf says of `consumer_timeout`; RabbitMQ's own default is half an hour",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """A consumer's own limit comes first, then the queue's, then the broker's."""
    del spec
    if plan.broker.consumer_timeout:
        for queue in plan.scopes("queue"):
            if not plan.value(queue, "external"):
                yield _of_queue(plan, queue, tuned)


def _of_queue(plan: Plan, queue: Scope, tuned: Parameters) -> Decision:
    key = "consumer_timeout_seconds"
    version = plan.version(APP, "broker_version") if plan.find(APP, "broker_version") else None
    if version is None or version >= FIRST_RABBITMQ_WITH_ARGUMENT:
        of_consumers = plan.value(queue, "consumer_arguments")
        own = f"arguments.{ARGUMENT}"
        for where, declared in (
            ("consumer_arguments", of_consumers.get(ARGUMENT) if isinstance(of_consumers, dict) else None),
            (own, plan.get(queue, own)),
        ):
            if isinstance(declared, int) and declared > 0:
                because = "its own argument says so"
                return Decision(queue, key, declared / 1000, because, (Derived(queue, where),))
    limit = Parameter(("parameters", NAME, "limit_seconds"), tuned.limit_seconds)
    return Decision(queue, key, tuned.limit_seconds, "the broker closes the channel after it", (limit,))
