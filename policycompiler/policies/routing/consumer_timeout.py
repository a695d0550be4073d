"""How long RabbitMQ lets a worker hold a message.

Decides:
    `queue:NAME/consumer_timeout_seconds`, on RabbitMQ, for each queue that this app consumes. If the policy
    file sets `limit_seconds`, `app/server.consumer_timeout`, a line of rabbitmq.conf in milliseconds.

Because:
    If a worker does not acknowledge a message within RabbitMQ's `consumer_timeout`, RabbitMQ closes the
    worker's channel. The default is 30 min, and it applies to every type of queue
    (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout). A workload does not show the
    `consumer_timeout` of rabbitmq.conf, so the policy file declares it. From RabbitMQ 3.12 on, the argument
    `x-consumer-timeout` of a queue or a consumer sets it for that queue, in milliseconds. So does a RabbitMQ
    policy with `consumer-timeout`.

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
from policycompiler.plan import APP, Decision, Derived, Plan, Scope
from policycompiler.policies.policy import parameter

NAME = "consumer-timeout"

ARGUMENT = "x-consumer-timeout"
"""An argument of a queue or a consumer, in milliseconds."""
FIRST_RABBITMQ_WITH_ARGUMENT = (3, 12)
"""Older versions ignore the argument."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    limit_seconds: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        1800,
        description="`consumer_timeout` of rabbitmq.conf, in seconds; RabbitMQ's default is 30 min",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """The limit of a consumer applies first, then the queue's, then the broker's."""
    del spec
    if plan.broker.consumer_timeout:
        if "limit_seconds" in tuned.model_fields_set:
            limit = parameter(NAME, "limit_seconds", tuned.limit_seconds)
            because = "the policy file says that the platform has this limit"
            yield Decision(APP, "server.consumer_timeout", tuned.limit_seconds * 1000, because, (limit,))
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
                because = f"the argument `{ARGUMENT}` sets it for this queue"
                return Decision(queue, key, declared / 1000, because, (Derived(queue, where),))
    limit = parameter(NAME, "limit_seconds", tuned.limit_seconds)
    because = "RabbitMQ closes the channel of a worker that holds a message longer"
    return Decision(queue, key, tuned.limit_seconds, because, (limit,))
