"""A mailbox on Redis.

Events and questions are pub/sub messages, which Redis does not store. Replies need a list and a binding;
both are deleted at the end, and the binding expires if the program is killed before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from celery import Celery
from kombu.utils.uuid import uuid

from policycompiler.reality.connection import Connected

EXCHANGE = "policycompiler.replies"
"""One name for all looks: workers remember each exchange to which they ever replied."""
BINDING_SECONDS = 120
"""Longer than any look."""


class RedisBox:
    """The list with the replies, and the subscription to events."""

    def __init__(self, app: Celery, connection: Connected) -> None:
        import redis  # noqa: PLC0415 - an optional dependency

        self._channel = connection.default_channel
        # kombu's own client prefixes only some commands.
        client: Any = redis.Redis(connection_pool=self._channel.pool)
        self._client = client
        self._prefix = self._channel.global_keyprefix
        # Formats the prefix of fanout with the number of the database.
        _ = self._channel.client
        # A fact of this process, which Redis does not store.
        self._channel.exchange_declare(f"{app.conf.control_exchange}.pidbox", type="fanout")
        self.exchange, self.key = EXCHANGE, uuid()
        topic = f"{self._prefix}{self._channel.keyprefix_fanout}{app.conf.event_exchange}"
        self._events = self._client.pubsub(ignore_subscribe_messages=True)
        self._events.psubscribe(topic, f"{topic}/worker.*")
        self._binding = f"{self._prefix}{self._channel.keyprefix_queue % EXCHANGE}"
        self._member = self._channel.sep.join([self.key, "", self.key])
        with self._client.pipeline() as pipe:
            pipe.sadd(self._binding, self._member)
            pipe.expire(self._binding, BINDING_SECONDS)
            pipe.execute()

    def letters(self, seconds: float) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """The replies and events that arrive within some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            raw: Any = self._client.rpop(self._prefix + self.key)
            message = None if raw else self._events.get_message(timeout=min(left, 0.05))
            raw = raw or (message["data"] if message else None)
            if raw:
                with suppress(ValueError, LookupError, TypeError, AttributeError):
                    found = self._channel.message_to_python(json.loads(raw))
                    found.accept = {"application/json"}
                    yield found.headers, found.decode()

    def close(self) -> None:
        """Remove the binding and the list, and end the subscription."""
        with self._client.pipeline() as pipe:
            pipe.srem(self._binding, self._member)
            pipe.delete(self._prefix + self.key)
            pipe.execute()
        self._events.close()


@contextmanager
def opened(app: Celery, connection: Connected) -> Iterator[RedisBox]:
    """A mailbox that is gone at the end of the block."""
    box = RedisBox(app, connection)
    try:
        yield box
    finally:
        box.close()
