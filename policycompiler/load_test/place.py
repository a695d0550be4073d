"""Where a load test takes place: the broker, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from policycompiler.load_test.wish import LoadTestError
from policycompiler.plan import Plan
from policycompiler.reality import connection, mailbox
from policycompiler.reality.connection import Client, UnreachableError
from policycompiler.reality.mailbox import Reply
from policycompiler.reality.messages import Look, on_rabbitmq, on_redis
from policycompiler.reality.messages.counts import Counting
from policycompiler.sizing import simulation

ORDERS: Mapping[str, simulation.Broker] = {
    "redis": simulation.REDIS,
    "rabbitmq": simulation.RABBITMQ,
}
"""In which order each kind of server gives messages to workers."""

_PATIENCE_SECONDS = 1
_COUNTING: Mapping[str, Counting] = {"redis": on_redis, "rabbitmq": on_rabbitmq}


class Place(NamedTuple):
    """A broker: its kind of server, its URL, a client of it, and its name for people.

    `management` is the URL of RabbitMQ's management API.
    """

    server: str
    url: str
    app: Client
    label: str
    management: str | None = None

    def ask(
        self, commands: Mapping[str, Mapping[str, object]], nodes: Sequence[str], seconds: float
    ) -> list[Reply]:
        """The answers of nodes to commands, waited for no longer than this. Raises `UnreachableError`."""

        def enough(replies: list[Reply], _: object, waited: float) -> bool:
            answered = {(each.node, each.command) for each in replies}
            return waited >= seconds or len(answered) >= len(nodes) * len(commands)

        with connection.bounded(connection.LOOK_SECONDS + seconds), connection.connected(self.app) as reached:
            replies, _ = mailbox.ask(self.app, reached, self.server, commands, enough, nodes=nodes)
        return replies

    def left(self, plan: Plan, queues: Sequence[str]) -> Look:
        """The messages of queues. Raises `UncountableError` or `UnreachableError`."""
        with connection.bounded(connection.LOOK_SECONDS):
            return _COUNTING[self.server].left(plan, self.app, queues, self.management)


def place(plan: Plan, server: str, url: str, label: str, management: str | None = None) -> Place:
    """A place that can be asked. Raises `LoadTestError` for a kind of broker that cannot."""
    if server not in mailbox.BOXES:
        message = (
            f"workers cannot say what they ran through {label}; only RabbitMQ and Redis can transport it. "
            "Install redis-server and its Python client, or use --running"
        )
        raise LoadTestError(message)
    with refusing():
        app = connection.client(plan, url)
    # Several questions in a row must fit into a look.
    app.patience_seconds = _PATIENCE_SECONDS
    return Place(server, url, app, label, management)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a broker that cannot be reached into a load test that cannot begin."""
    try:
        yield
    except UnreachableError as problem:
        raise LoadTestError(str(problem)) from None


Tell = Callable[[str], None]
"""Shows the progress: each text replaces the last one."""


def looked(place_: Place, look: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what the look returns
    """The result of a look at the broker. Raises `UnreachableError`."""
    with (
        connection.bounded(connection.LOOK_SECONDS),
        connection.connected(place_.app) as reached,
    ):
        return look(reached)
