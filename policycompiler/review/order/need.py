"""The reasons why processes must go from an old plan to a new one in an order, and the steps they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from policycompiler.review.outcome import Phase

_MOST_TOLD = 6


def told(names: Iterable[str]) -> str:
    """Names in a sentence: the first ones, and the number of the others."""
    listed = [f"`{name}`" for name in names]
    more = len(listed) - _MOST_TOLD
    return ", ".join(listed[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


class Asks(StrEnum):
    """What a need requires of the order. Each of these leads to a step of a phase."""

    RAISE = "raise"
    """All workers hold messages for longer before a process needs that."""
    ACCEPT = "accept"
    """All processes read something new before any process sends it."""
    RECEIVE = "receive"
    """Workers are ready for something new before any process sends it."""
    KEEP = "keep"
    """New workers still process something old until nothing of it is left."""
    DRAIN = "drain"
    """Something old is removed last, once nothing of it is left."""
    STAND_IN = "stand-in"
    """Another queue stands in for a queue that is deleted and declared again."""
    MOVE = "move"
    """Beat stops before it starts on another host."""
    DELETE = "delete"
    """Something is deleted once the new plan runs."""
    EMPTY = "empty"
    """Messages already sent are gone before any new process starts; a person stops their publishers."""


PHASES: Mapping[Asks, Phase] = {
    Asks.RAISE: "expand",
    Asks.ACCEPT: "expand",
    Asks.RECEIVE: "expand",
    Asks.KEEP: "expand",
    Asks.DRAIN: "contract",
    Asks.STAND_IN: "expand",
    Asks.MOVE: "switch",
    Asks.DELETE: "contract",
    Asks.EMPTY: "expand",
}
"""The earliest phase of the step that each of these leads to."""


class Kind(NamedTuple):
    """A kind of need: what it requires, and why; `{names}` stands for what it covers."""

    name: str
    asks: frozenset[Asks]
    says: str


def _kind(name: str, says: str, *asks: Asks) -> Kind:
    return Kind(name, frozenset(asks), says)


_FORM = (
    "old processes reject the new content type, so every process must accept it before any process sends it"
)
_IMPATIENT = "tasks already sent may run longer than the new stop timeout of {names}"
_WITHOUT = (
    "workers without the code of {names} discard its remaining messages, so the code must stay until none is "
    "left"
)

NEW_FORM = _kind("new-form", _FORM, Asks.ACCEPT)
"""Content types of messages that old processes do not read."""
NEW_RESULTS = _kind("new-results", _FORM, Asks.ACCEPT)
"""The content type of results that old processes do not read."""
NEW_NAME = _kind(
    "new-name",
    "old workers discard messages with the new name, so the new code still sends the old name",
    Asks.ACCEPT,
)
"""Tasks that had another name."""
NEW_QUEUE = _kind("new-queue", "no worker consumes {names} yet", Asks.RECEIVE)
"""Queues that only new workers consume."""
NEW_TASK = _kind(
    "new-task",
    "old workers discard messages of {names}: no code, not even a task, may send any before the next step",
    Asks.RECEIVE,
)
"""Tasks that old workers do not know."""
DESERTED = _kind("deserted", "tasks still send to {names} while old workers run", Asks.KEEP)
"""Queues that only old workers consume, and whose tasks are now sent to other queues."""
NEW_ARGUMENTS = _kind(
    "new-arguments", "the old code may not accept the new arguments of {names}", Asks.RECEIVE
)
"""Schedules with other arguments."""
NEW_LEVELS = _kind(
    "new-levels",
    "old workers do not read the Redis lists of the new priority levels",
    Asks.RECEIVE,
    Asks.KEEP,
)
"""The lists that Redis keeps for each priority level."""
LONGER_RUN = _kind(
    "longer-run",
    "new producers send tasks that may run longer than the old stop timeout of {names}",
    Asks.RECEIVE,
)
"""Workers whose old units stop them sooner than tasks of new producers may last."""
SHORTER_HOLD = _kind(
    "shorter-hold",
    "workers may hold messages already sent for longer than the new visibility timeout",
    Asks.KEEP,
)
"""The visibility timeout, where it is lowered."""
LASTING = _kind("lasting", _IMPATIENT, Asks.KEEP)
"""Workers whose new units wait for less time than tasks of old producers may last."""
HURRIED = _kind("hurried", _IMPATIENT, Asks.KEEP)
"""Workers whose new units wait for less time than runs of the old processes they stop may last."""
OLD_FORM = _kind(
    "old-form", "messages already sent have the old content type, which new workers reject", Asks.KEEP
)
"""Content types of messages that new processes do not read."""
HANDED_ON = _kind("handed-on", _WITHOUT, Asks.KEEP, Asks.DRAIN)
"""Tasks that another app now runs, with messages left here."""
GONE = _kind("gone", _WITHOUT, Asks.DRAIN)
"""Tasks, and earlier names of some, that new workers do not know."""
LEAVING = _kind("leaving", "no new worker consumes the messages left in {names}", Asks.DRAIN)
"""Queues that only old workers consume."""
LONGER_HOLD = _kind(
    "longer-hold",
    "each worker redelivers the messages of all workers after its own visibility timeout, "
    "so all workers need the longer timeout first",
    Asks.RAISE,
)
"""The visibility timeout, where it is raised."""
REPLACED = _kind(
    "replaced",
    "RabbitMQ refuses to declare {names} or its exchange differently while they exist: workers would not "
    "start and publishing would fail; a queue with another name stands in until the old queue is empty and "
    "declared again",
    Asks.STAND_IN,
)
"""Queues that RabbitMQ would refuse to declare."""
LEFT_ROW = _kind(
    "left-row",
    "beat sends a removed schedule as long as its row is in the database",
    Asks.DELETE,
)
"""Schedules that beat still sends until their rows are deleted."""
BEAT_MOVED = _kind(
    "beat-moved",
    "two beats send every schedule twice; without its schedule file, beat forgets overdue runs",
    Asks.MOVE,
)
"""Beat, where it moves to another host."""

FORGOTTEN = _kind(
    "forgotten",
    "new workers do not find the records of {names}, so a message that comes again, or a parked duplicate, "
    "repeats its effect",
    Asks.EMPTY,
)
"""Tasks whose effects are remembered where new workers do not look."""


class Need(NamedTuple):
    """A reason for an order, with the names of what it covers."""

    kind: Kind
    names: frozenset[str]

    @property
    def sentence(self) -> str:
        """Why, in words."""
        return self.kind.says.format(names=told(sorted(self.names)))

    def of(self, names: Iterable[str]) -> Need | None:
        """The part of it that is about some names; None without any."""
        covered = self.names.intersection(names)
        return Need(self.kind, covered) if covered else None


def reason(needs: Iterable[Need]) -> str:
    """The sentences of needs, each once."""
    return "; ".join(dict.fromkeys(need.sentence for need in needs))
