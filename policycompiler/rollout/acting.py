"""Actions that change the broker. None deletes what is not empty or is in use."""

from __future__ import annotations

from typing import Any

from amqp.exceptions import AMQPError, NotFound, PreconditionFailed

from policycompiler.plan import Plan
from policycompiler.reality import messages
from policycompiler.reality.connection import Client, connected
from policycompiler.reality.messages import on_rabbitmq, on_redis
from policycompiler.report.text import counted
from policycompiler.review.conditions import BrokerAction, DeleteExchange, DeleteQueue
from policycompiler.rollout.looks import Access

_NOT_IMPLEMENTED = 540


class RefusedError(Exception):
    """The action would lose messages or stop a process, so nothing was changed."""


def act(action: BrokerAction, plan: Plan, access: Access) -> str:
    """Carry out an action once; what was done, in words. Raises `RefusedError` and `UnreachableError`."""
    app = access.app(plan)
    if isinstance(action, DeleteQueue):
        return _delete_queue(action.queue, plan, app, access.management)
    if isinstance(action, DeleteExchange):
        return _delete_exchange(action.exchange, app)
    moved = on_redis.move_levels(plan, app, action.queues, action.levels)
    return f"moved {moved} {'message' if moved == 1 else 'messages'} to priority levels that stay"


def _delete_queue(queue: str, plan: Plan, app: Client, management: str | None) -> str:
    with connected(app) as connection:
        found = on_rabbitmq.declared(connection, queue)
        if found is None:
            return f"queue `{queue}` no longer exists"
        _refuse(queue, found.ready, found.consumers)
    # To RabbitMQ, a queue whose messages are all held is empty.
    try:
        left = messages.left(plan, app, [queue], management).left
    except messages.UncountableError as problem:
        message = f"queue `{queue}` is kept: {problem}"
        raise RefusedError(message) from None
    if left:
        message = f"queue `{queue}` is kept: {'; '.join(left)}"
        raise RefusedError(message)
    with connected(app) as connection:
        own: Any = connection.clone()
        # RabbitMQ checks no condition when it deletes a quorum queue.
        if not _deleted_if_unused(own, queue) and (now := on_rabbitmq.declared(connection, queue)):
            _refuse(queue, now.ready, now.consumers)
            channel: Any = connection.channel()
            channel.queue_delete(queue)
    return f"deleted queue `{queue}`"


def _refuse(queue: str, ready: int, consumers: int) -> None:
    if ready or consumers:
        what = counted(ready, "ready message") if ready else counted(consumers, "consumer")
        message = f"queue `{queue}` is kept: it has {what}"
        raise RefusedError(message)


def _deleted_if_unused(connection: Any, queue: str) -> bool:  # noqa: ANN401 - kombu's, untyped
    """Whether RabbitMQ deleted a queue; False for a type that it deletes without conditions."""
    with connection:
        try:
            connection.channel().queue_delete(queue, if_unused=True, if_empty=True)
        except PreconditionFailed as problem:
            message = f"queue `{queue}` is kept: {problem.reply_text}"
            raise RefusedError(message) from None
        except AMQPError as problem:
            if problem.reply_code != _NOT_IMPLEMENTED:
                raise
            return False
    return True


def _delete_exchange(exchange: str, app: Client) -> str:
    with connected(app) as connection:
        channel: Any = connection.channel()
        try:
            channel.exchange_delete(exchange, if_unused=True)
        except PreconditionFailed as problem:
            message = f"exchange `{exchange}` is kept: {problem.reply_text}"
            raise RefusedError(message) from None
        except NotFound:
            return f"exchange `{exchange}` no longer exists"
    return f"deleted exchange `{exchange}`"
