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
LIMIT = "x-delivery-limit"
"""How often a quorum queue delivers a message again."""
DEFAULT_LIMIT = 20
"""Its value in RabbitMQ 4 and newer; older versions have none."""
FIRST_RABBITMQ_WITH_DEFAULT_LIMIT = (4, 0)
DEAD_LETTERS = "x-dead-letter-exchange"
"""Where a queue sends the messages that it gives up; without it they are dropped."""

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
    "classic": frozenset(
        {
            *("x-dead-letter-strategy", "x-delivery-limit", "x-max-age", "x-quorum-initial-group-size"),
            *("x-max-in-memory-bytes", "x-max-in-memory-length"),
        }
    ),
}
"""Arguments that RabbitMQ refuses (406) for a queue of this type."""

KNOWN = frozenset(
    {
        *DROPPING,
        *frozenset().union(*REFUSED.values()),
        *(TYPE, OVERFLOW, LEVELS),
        *("x-consumer-timeout", "x-dead-letter-exchange", "x-dead-letter-routing-key"),
        *("x-dead-letter-strategy", "x-queue-leader-locator", "x-single-active-consumer"),
    }
)
"""https://www.rabbitmq.com/docs/queues#optional-arguments"""

UNCOMPARED = frozenset({"x-consumer-timeout"})
"""Arguments that RabbitMQ accepts with another value for a queue that exists, and ignores."""


def drops(arguments: dict[str, object]) -> dict[str, Dropping]:
    """The arguments of a queue that drop its messages."""
    rejects = str(arguments.get(OVERFLOW, "")).startswith("reject-")
    return {
        name: argument
        for name, argument in DROPPING.items()
        if arguments.get(name) is not None and not (argument.of_length and rejects)
    }
