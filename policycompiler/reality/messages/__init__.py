"""How many messages of a plan's queues are left: ready, or held by workers, who also hold delayed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policycompiler.plan import Plan
from policycompiler.reality.connection import Client
from policycompiler.reality.messages import on_rabbitmq, on_redis
from policycompiler.reality.messages.counts import Counting, Look, UncountableError

__all__ = ["Look", "UncountableError", "left", "of_content", "of_task", "ready"]

_BY_SERVER: Mapping[str, Counting] = {"redis": on_redis, "rabbitmq": on_rabbitmq}


def ready(plan: Plan, app: Client, queues: Sequence[str]) -> Look:
    """How many messages of each queue no worker has fetched. Raises `UncountableError`."""
    return _on(plan).ready(plan, app, queues)


def left(plan: Plan, app: Client, queues: Sequence[str], management: str | None = None) -> Look:
    """How many messages of each queue are ready or held by workers.

    `management` is the URL of RabbitMQ's management API. Raises `UncountableError` where nobody can know.
    """
    return _on(plan).left(plan, app, queues, management)


def of_task(plan: Plan, app: Client, task: str, queues: Sequence[str]) -> Look:
    """How many messages of a task are ready in each queue, and held from any. Raises `UncountableError`."""
    _refuse_unless_readable(plan)
    return on_redis.of_task(plan, app, task, queues)


def of_content(plan: Plan, app: Client, types: Sequence[str], queues: Sequence[str]) -> Look:
    """How many messages are ready in each queue, and how many held ones have one of these content types.

    Raises `UncountableError`.
    """
    _refuse_unless_readable(plan)
    return on_redis.of_content(plan, app, types, queues)


def _refuse_unless_readable(plan: Plan) -> None:
    if _BY_SERVER.get(plan.broker.server) is not on_redis:
        message = f"{plan.broker.label} does not show what is in a message; wait until queues are drained"
        raise UncountableError(message)


def _on(plan: Plan) -> Counting:
    if found := _BY_SERVER.get(plan.broker.server):
        return found
    message = f"no command counts the messages of {plan.broker.label}; look at the console of the broker"
    raise UncountableError(message)
