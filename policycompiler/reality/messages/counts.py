"""The result of a look at queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from policycompiler.plan import Plan, Scope
from policycompiler.reality.connection import Client


class Count(NamedTuple):
    """Messages of a queue: `ready` for any worker, and `held` by workers; None where nobody looked."""

    ready: int
    held: int | None = None

    @property
    def any(self) -> bool:
        """Whether a message is left."""
        return bool(self.ready or self.held)

    @property
    def says(self) -> str:
        """The numbers in words."""
        parts = [f"{self.ready} ready"] if self.ready or not self.held else []
        parts += [f"{self.held} held by workers"] if self.held else []
        return " and ".join(parts)


class Look(NamedTuple):
    """Counts by queue, those `held` from any queue, and the way in which they were found, in words."""

    queues: Mapping[str, Count]
    held: int = 0
    way: str = ""

    @property
    def left(self) -> list[str]:
        """What is left, in words; empty if nothing is."""
        found = [f"`{name}` has {count.says}" for name, count in self.queues.items() if count.any]
        return [*found, *([f"workers hold {self.held}"] if self.held else [])]


class UncountableError(Exception):
    """Nobody can know how many messages are left; the text says why, and what to do."""


class Counting(Protocol):
    """How to count messages on a kind of broker."""

    def ready(self, plan: Plan, app: Client, queues: Sequence[str]) -> Look:
        """How many messages no worker has fetched."""
        ...

    def left(self, plan: Plan, app: Client, queues: Sequence[str], management: str | None) -> Look:
        """How many messages are ready or held."""
        ...


class Binding(NamedTuple):
    """How a held message shows its queue: by exchange and routing key; `key` is None if any key may do."""

    queue: str
    exchange: str
    key: str | None

    def has(self, exchange: object, key: object) -> bool:
        """Whether a message with these is of the queue."""
        if not exchange:
            return key == self.queue
        return exchange == self.exchange and self.key in (None, key)


def binding(plan: Plan, queue: str) -> Binding:
    """The binding of a queue; the routing key of a topic exchange is a pattern, so every key counts."""
    scope = Scope("queue", queue)
    direct = plan.get(scope, "exchange_type", "direct") == "direct"
    key = str(plan.get(scope, "routing_key", queue)) if direct else None
    return Binding(queue, str(plan.get(scope, "exchange", queue)), key)
