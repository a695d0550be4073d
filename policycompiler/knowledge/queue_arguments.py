"""What the arguments of a queue do to the messages that wait in it, and which types refuse them."""

from __future__ import annotations

from typing import NamedTuple


class Dropping(NamedTuple):
    """An argument by which waiting messages go; `dead_letters` where they become some, if the queue has any.

    `unit` is what its number counts. `of_length`: a queue that rejects instead drops nothing.
    """

    what: str
    unit: str
    dead_letters: bool
    of_length: bool = False


TYPE = "x-queue-type"
OVERFLOW = "x-overflow"
"""What a full queue does: drop its head, unless it rejects what is published."""
LEVELS = "x-max-priority"
LIMIT = "x-delivery-limit"
"""How often a quorum queue delivers a message again."""

DROPPING = {
    "x-max-length": Dropping("a full queue drops its oldest messages", "messages", True, of_length=True),  # noqa: FBT003
    "x-max-length-bytes": Dropping("a full queue drops its oldest messages", "bytes", True, of_length=True),  # noqa: FBT003
    "x-message-ttl": Dropping("what waits for longer than so many milliseconds is dropped", "ms", True),  # noqa: FBT003
    "x-expires": Dropping(
        "a queue that has no worker for so many milliseconds is gone with what is in it",
        "ms",
        dead_letters=False,
    ),
}
"""https://www.rabbitmq.com/docs/ttl and https://www.rabbitmq.com/docs/maxlength"""

REFUSED = {
    "quorum": frozenset({LEVELS, "x-queue-mode", "x-queue-master-locator", "x-max-age"}),
    "classic": frozenset(
        {
            *("x-delivery-limit", "x-max-age", "x-quorum-initial-group-size"),
            *("x-max-in-memory-bytes", "x-max-in-memory-length"),
        }
    ),
}
"""Arguments with which RabbitMQ refuses (406) to make a queue of a type."""

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


def drops(arguments: dict[str, object]) -> dict[str, Dropping]:
    """The arguments of a queue by which it drops what waits in it."""
    rejects = str(arguments.get(OVERFLOW, "")).startswith("reject-")
    return {
        name: argument
        for name, argument in DROPPING.items()
        if arguments.get(name) is not None and not (argument.of_length and rejects)
    }
