"""Dead letters on RabbitMQ: each deed is one transaction, which a client that dies leaves undone or done.

A letter that is read is held until the end and then returns to its place, so nobody else sees it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amqp import Message
from amqp.exceptions import NotFound, PreconditionFailed
from kombu.connection import Connection

from policycompiler.knowledge.queue_arguments import OVERFLOW
from policycompiler.letters.letter import Letter, Stored, headers_again, headers_at_rest, letter_of
from policycompiler.plan import Plan, Scope
from policycompiler.reality.connection import Client, UnreachableError, connected
from policycompiler.reality.messages.on_rabbitmq import declared

_MOST_PRIORITY = 255
"""A priority is one byte in AMQP."""
_AT_ONCE = 100
"""Letters that are put back in one transaction."""


class Box:
    """The letters of a dead-letter queue, from the oldest; one that is neither moved nor dropped stays."""

    def __init__(self, plan: Plan, connection: Connection, dead: str, queues: Collection[str]) -> None:
        self._plan, self._connection, self._dead, self._queues = plan, connection, dead, queues
        self._returned: list[object] = []
        self._read: Letter | None = None
        self._renewed = 0
        self._channel: Any = connection.channel()  # type: ignore[no-untyped-call]
        self._channel.events["basic_return"].add(lambda *returned: self._returned.append(returned))
        self._channel.tx_select()

    def count(self) -> int:
        """How many letters there are; none if the queue does not exist."""
        found = declared(self._connection, self._dead)
        return 0 if found is None else found.ready

    def __iter__(self) -> Iterator[Letter]:
        # Letters that arrive meanwhile are behind these.
        for _ in range(self.count()):
            message = self._channel.basic_get(self._dead)
            if message is None:
                return
            letter = letter_of(_stored(message), self._dead, self._queues, message)
            self._read = letter
            yield letter
            self._leave()

    def _leave(self) -> None:
        """Put a letter back as a new message: RabbitMQ 4 deletes one that has returned 20 times."""
        letter, self._read = self._read, None
        if letter is None or not letter.headers.get("x-delivery-count"):
            return
        self._publish(letter, self._dead, headers_at_rest(letter))
        self._channel.basic_ack(letter.handle.delivery_tag)
        self._renewed += 1
        if self._renewed % _AT_ONCE == 0:
            self._channel.tx_commit()

    def close(self) -> None:
        """Let what is put back be there; all others that were read return by themselves."""
        self._leave()
        if self._renewed % _AT_ONCE:
            self._channel.tx_commit()

    def refuses(self, queue: str) -> str:
        """Why a queue takes no message; empty if it does."""
        found = declared(self._connection, queue)
        if found is None:
            return f"queue {queue} does not exist: start a worker that consumes it"
        arguments = self._plan.below(Scope("queue", queue), "arguments.")
        if not str(arguments.get(OVERFLOW, "")).startswith("reject-"):
            return ""
        # In a transaction RabbitMQ does not say which messages a full queue rejected.
        most, most_bytes = (arguments.get(name) for name in ("x-max-length", "x-max-length-bytes"))
        full = isinstance(most, int) and found.ready >= most
        if full or (most_bytes is not None and found.ready):
            return f"queue {queue} may be full, and a full queue refuses messages: wait until it is drained"
        return ""

    def send(self, letter: Letter, queue: str, *, expires: bool) -> bool:
        """Move a letter to a queue as a new message; False if the queue did not take it."""
        self._returned.clear()
        self._publish(letter, queue, headers_again(letter, expires=expires))
        try:
            self._end(letter)
        except PreconditionFailed:
            # The queue was full after all; the letter is acknowledged, and goes back.
            self._channel = self._connection.channel()  # type: ignore[no-untyped-call]
            self._channel.tx_select()
            self._returned.append(letter)
        if self._returned:
            self._publish(letter, self._dead, letter.headers)
            self._channel.tx_commit()
            return False
        return True

    def drop(self, letter: Letter) -> bool:
        """Delete a letter."""
        self._end(letter)
        return True

    def _end(self, letter: Letter) -> None:
        self._channel.basic_ack(letter.handle.delivery_tag)
        self._channel.tx_commit()
        self._read = None

    def _publish(self, letter: Letter, queue: str, headers: Mapping[str, Any]) -> None:
        kept = {
            name: value
            for name, value in letter.handle.properties.items()
            # An expiry of RabbitMQ counts again from now; Celery's own is a time.
            if name not in ("application_headers", "expiration", "delivery_mode")
        }
        if letter.priority is not None:
            kept["priority"] = min(letter.priority, _MOST_PRIORITY)
        # Bytes: a text would be encoded as the message says, which need not be an encoding.
        message = Message(letter.body, application_headers=dict(headers), delivery_mode=2, **kept)
        self._channel.basic_publish(message, routing_key=queue, mandatory=True)


@contextmanager
def opened(plan: Plan, app: Client, dead: str, queues: Collection[str]) -> Iterator[Box]:
    """The letters of a dead-letter queue that has those of these queues. Raises `UnreachableError`."""
    # A channel has transactions or confirms.
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "confirm_publish": False}
    with connected(app) as connection:
        try:
            box = Box(plan, connection, dead, queues)
            try:
                yield box
            except GeneratorExit:
                # Whoever reads the letters has seen enough.
                box.close()
                raise
            box.close()
        except NotFound as problem:
            raise UnreachableError(problem.reply_text) from None


def _stored(message: Any) -> Stored:  # noqa: ANN401 - amqp's, untyped
    properties = message.properties
    headers = properties.get("application_headers")
    body = message.body.encode() if isinstance(message.body, str) else bytes(message.body)
    return Stored(
        headers if isinstance(headers, dict) else {},
        properties,
        str(properties.get("content_type")),
        body,
        len(body),
    )
