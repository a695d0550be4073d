"""A bound for the messages of a queue, at every publisher.

A task that runs may always send: a retry or a chain must go on. A queue of RabbitMQ
that refuses by itself refuses these too, and Celery loses the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from logging import getLogger
from typing import Any

from celery import current_app, current_task

from . import counts
from .errors import QueueFull

_NOT_FOUND = 404
_asks: ContextVar[bool] = ContextVar("celeryconfig_asks", default=False)


class Bounds:
    """The bounds by the name of the queue."""

    def __init__(self, bounds: Mapping[str, int]) -> None:
        self.bounds = bounds

    def route(
        self,
        name: str,
        args: Any,
        kwargs: Any,
        options: Mapping[str, Any],
        task: Any = None,
        **_: Any,
    ) -> None:
        """The first router of the app: it refuses a message, or says nothing."""
        if _asks.get() or _in_a_task():
            return
        app = task.app if task is not None else current_app._get_current_object()
        before = _asks.set(True)
        try:
            routed = app.amqp.router.route(dict(options), name, args, kwargs, task)
        finally:
            _asks.reset(before)
        queue = getattr(routed.get("queue"), "name", routed.get("queue"))
        bound = self.bounds.get(queue)
        if bound is not None:
            depth = _depth(app, queue)
            if depth is not None and depth >= bound:
                counts.add("refused_total", queue=queue, reason="full")
                raise QueueFull(queue, depth, bound)


def _in_a_task() -> bool:
    request = current_task.request if current_task else None
    return bool(request and request.id and not request.is_eager)


def _depth(app: Any, queue: str) -> int | None:
    """The messages of all priorities. None if the broker cannot say, or is away."""
    try:
        with app.pool.acquire(block=True) as connection:
            # What follows tries longer, as the settings of the publisher say.
            connection.ensure_connection(max_retries=1, interval_start=0)
            channel = connection.default_channel
            if size := getattr(channel, "_size", None):
                return int(size(queue))
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors as error:
                # RabbitMQ has closed the channel.
                connection.close()
                if getattr(error, "code", None) != _NOT_FOUND:
                    raise
                # Its first message declares it.
                return 0
    except Exception as error:  # noqa: BLE001 - a guess must not stop a publisher
        counts.add("store_errors_total", guard="bound")
        message = "the messages of queue %s cannot be counted (%s); this one is sent"
        getLogger(__name__).warning(message, queue, type(error).__name__)
        return None
