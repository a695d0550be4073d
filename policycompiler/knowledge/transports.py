"""What each kind of broker can do with a message."""

from __future__ import annotations

from enum import StrEnum
from string import punctuation
from typing import NamedTuple


class Fanout(StrEnum):
    """What a fanout exchange does with a message of an ordinary queue."""

    KEPT = "kept"
    """Each bound queue gets a copy and keeps it."""
    LIVE = "live"
    """Every consumer that is connected gets a copy; nothing is kept for others."""
    NONE = "none"
    """The message goes nowhere."""


class Transport(NamedTuple):
    """A kind of broker.

    `durable`: a waiting message survives a restart of all processes. `modes`: it distinguishes transient
    from persistent messages. `unroutable`: a message whose queue does not exist is confirmed and dropped.
    `control`: it carries remote control. `letters`: characters of a queue's name besides letters and digits,
    or empty where any are allowed, and `longest` how many a name may have. `separator` stands between the
    words of a queue name that the compiler makes. `expiring`: the arguments by which it drops waiting
    messages (see `queue_arguments`).
    """

    fanout: Fanout
    durable: bool
    modes: bool
    unroutable: bool
    control: bool
    expiring: frozenset[str]
    separator: str = "."
    letters: str = ""
    longest: int = 255


_EVERY = frozenset({"x-expires", "x-message-ttl", "x-max-length", "x-max-length-bytes"})

TRANSPORTS = {
    "rabbitmq": Transport(Fanout.KEPT, True, True, True, True, _EVERY),  # noqa: FBT003 - a table
    "redis": Transport(Fanout.LIVE, True, False, False, True, frozenset({"x-expires"})),  # noqa: FBT003
    "sqs": Transport(
        Fanout.NONE,
        durable=True,
        modes=False,
        unroutable=False,
        control=False,
        expiring=frozenset(),
        separator="-",
        letters="-_",
        longest=80,
    ),
    "filesystem": Transport(Fanout.KEPT, True, False, False, False, frozenset()),  # noqa: FBT003
    "memory": Transport(Fanout.KEPT, False, False, False, True, frozenset()),  # noqa: FBT003
}
"""By the workload's names (kombu/transport/). kombu writes a dot in a queue's name as a dash for SQS."""

_PUNCTUATION = str.maketrans(dict.fromkeys(set(punctuation) - set("-_."), "_") | {".": "-"})


def canonical(name: str) -> str:
    """What kombu calls a queue on SQS."""
    if name.endswith(".fifo"):
        return name.removesuffix(".fifo").translate(_PUNCTUATION) + ".fifo"
    return name.translate(_PUNCTUATION)
