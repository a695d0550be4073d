"""How the arguments of a queue drop its messages, and which queue types refuse which arguments."""

from __future__ import annotations

from typing import NamedTuple


class Dropping(NamedTuple):
    """An argument that drops messages; `dead_letters` if they go to the dead-letter queue, if there is one.

    `unit` is the unit of its number. `of_length`: a queue that rejects new messages instead drops none.
    """

    what: str
    unit: str
    dead_letters: bool
    of_length: bool = False


TYPE = "x-queue-type"
OVERFLOW = "x-overflow"
"""What a full queue does: by default it drops its oldest messages; it may reject new messages instead."""
LEVELS = "x-max-priority"

DROPPING = {
    "x-max-length": Dropping("a full queue drops its oldest messages", "messages", True, of_length=True),  # noqa: FBT003
    "x-max-length-bytes": Dropping("a full queue drops its oldest messages", "bytes", True, of_length=True),  # noqa: FBT003
    "x-message-ttl": Dropping("messages that wait longer (in milliseconds) are dropped", "ms", True),  # noqa: FBT003
    "x-expires": Dropping(
        "a queue without a worker is deleted after this many milliseconds, with its messages",
        "ms",
        dead_letters=False,
    ),
}
"""https://www.rabbitmq.com/docs/ttl and https://www.rabbitmq.com/docs/maxlength"""

REFUSED = {
    "quorum": frozenset({LEVELS, "x-queue-mode", "x-queue-master-locator", "x-max-age"}),
    "classic": frozenset({"x-delivery-limit", "x-max-age", "x-quorum-initial-group-size"}),
}
"""Arguments that RabbitMQ refuses (406) for a queue of this type."""


def drops(arguments: dict[str, object]) -> dict[str, Dropping]:
    """The arguments of a queue that drop its messages."""
    rejects = str(arguments.get(OVERFLOW, "")).startswith("reject-")
    return {
        name: argument
        for name, argument in DROPPING.items()
        if arguments.get(name) is not None and not (argument.of_length and rejects)
    }
