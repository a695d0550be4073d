"""A mailbox on RabbitMQ: an exclusive queue without a name, which the broker deletes with its connection.

It replies through the default exchange, and binds to the exchange of events only if a worker has declared it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from amqp.exceptions import NotFound
from celery import Celery

from policycompiler.reality.connection import Connected


class AmqpBox:
    """The queue with replies and events."""

    def __init__(self, connection: Connected) -> None:
        self._connection = connection
        self._channel = connection.channel()
        self.exchange = ""
        self.key = self._channel.queue_declare(queue="", exclusive=True, auto_delete=True).queue
        self._waiting: list[Any] = []
        self._channel.basic_consume(queue=self.key, no_ack=True, callback=self._waiting.append)

    def bind(self, exchange: str) -> None:
        """Receive the events of workers too."""
        self._channel.queue_bind(queue=self.key, exchange=exchange, routing_key="worker.#")

    def letters(self, seconds: float) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """The replies and events that arrive within some seconds."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)
        while self._waiting:
            found = self._channel.message_to_python(self._waiting.pop(0))
            found.accept = {"application/json"}
            with suppress(ValueError, LookupError, TypeError):
                yield found.headers, found.decode()

    def close(self) -> None:
        """Delete the queue."""
        self._channel.close()


@contextmanager
def opened(app: Celery, connection: Connected) -> Iterator[AmqpBox | None]:
    """A mailbox that is gone at the end of the block; None if no worker has ever listened here."""
    if not _exists(connection, f"{app.conf.control_exchange}.pidbox"):
        yield None
        return
    box = AmqpBox(connection)
    try:
        if _exists(connection, app.conf.event_exchange):
            box.bind(app.conf.event_exchange)
        yield box
    finally:
        box.close()


def _exists(connection: Connected, exchange: str) -> bool:
    """Whether an exchange exists; the type does not matter to a passive declaration."""
    channel = connection.channel()
    try:
        channel.exchange_declare(exchange, type="fanout", passive=True)
    except NotFound:
        return False
    channel.close()
    return True
