"""What can ask for an order in which processes go from an old plan to a new one, and for which steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from policycompiler.review.outcome import Phase

_MOST_TOLD = 6


def told(names: Iterable[str]) -> str:
    """Names in a sentence, and how many more there are than anybody reads."""
    listed = [f"`{name}`" for name in names]
    more = len(listed) - _MOST_TOLD
    return ", ".join(listed[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


class Asks(StrEnum):
    """What a need asks of the order. For each of these there is a step of a phase."""

    RAISE = "raise"
    """All workers hold messages for longer before anybody needs it."""
    ACCEPT = "accept"
    """All read something new before anybody sends it."""
    RECEIVE = "receive"
    """Workers are ready for something new before anybody sends it."""
    KEEP = "keep"
    """New workers go on with something old until nothing of it is left."""
    DRAIN = "drain"
    """Something old goes last, once nothing of it is left."""
    STAND_IN = "stand-in"
    """Another queue stands in for one that is made anew."""
    MOVE = "move"
    """Beat ends before it starts elsewhere."""
    DELETE = "delete"
    """Something is deleted once the new plan runs."""


PHASES: Mapping[Asks, Phase] = {
    Asks.RAISE: "expand",
    Asks.ACCEPT: "expand",
    Asks.RECEIVE: "expand",
    Asks.KEEP: "expand",
    Asks.DRAIN: "contract",
    Asks.STAND_IN: "expand",
    Asks.MOVE: "switch",
    Asks.DELETE: "contract",
}
"""The phase of the step, at the least, that each of these leads to."""


class Kind(NamedTuple):
    """A kind of need: what it asks for, and why, where `{names}` is what it covers."""

    name: str
    asks: frozenset[Asks]
    says: str


def _kind(name: str, says: str, *asks: Asks) -> Kind:
    return Kind(name, frozenset(asks), says)


_FORM = "an old process refuses the new form, so all read it before anybody writes it"
_IMPATIENT = "what is under way may run for longer than the new stop timeout of {names}"
_WITHOUT = "a worker without {names} throws away what is still under way of it; the code stays until then"

NEW_FORM = _kind("new-form", _FORM, Asks.ACCEPT)
"""Content types of messages that old processes do not read."""
NEW_RESULTS = _kind("new-results", _FORM, Asks.ACCEPT)
"""The content type of results that old processes do not read."""
NEW_NAME = _kind(
    "new-name",
    "an old worker throws away what has the new name, so the new code still sends the old one",
    Asks.ACCEPT,
)
"""Tasks that had another name."""
NEW_QUEUE = _kind("new-queue", "nobody consumes {names} yet", Asks.RECEIVE)
"""Queues that only new workers consume."""
NEW_TASK = _kind(
    "new-task",
    "a worker that does not know {names} throws its messages away: "
    "no code, that of tasks included, may send it before the next step",
    Asks.RECEIVE,
)
"""Tasks that old workers do not know."""
DESERTED = _kind("deserted", "tasks still send to {names} while old workers run", Asks.KEEP)
"""Queues that only old workers consume, and whose tasks go on being sent, to other queues."""
NEW_ARGUMENTS = _kind("new-arguments", "old code may not take the new arguments of {names}", Asks.RECEIVE)
"""Schedules with other arguments."""
NEW_LEVELS = _kind(
    "new-levels",
    "an old worker does not look into the lists of the new levels",
    Asks.RECEIVE,
    Asks.KEEP,
)
"""The lists that Redis keeps for each priority."""
LONGER_RUN = _kind(
    "longer-run",
    "a stop of the old {names} would kill what may run for longer from now on",
    Asks.RECEIVE,
)
"""Workers that old units would stop sooner than what new producers send may last."""
SHORTER_HOLD = _kind(
    "shorter-hold",
    "what is under way may be held for longer than the new visibility timeout",
    Asks.KEEP,
)
"""The visibility timeout, where it is lowered."""
LASTING = _kind("lasting", _IMPATIENT, Asks.KEEP)
"""Workers to which what old producers sent may come that lasts longer than new units wait for."""
HURRIED = _kind("hurried", _IMPATIENT, Asks.KEEP)
"""Workers whose old processes may have longer runs than the new units wait for that will stop them."""
OLD_FORM = _kind("old-form", "what is under way is in the old form, which a new worker refuses", Asks.KEEP)
"""Content types of messages that new processes do not read."""
HANDED_ON = _kind("handed-on", _WITHOUT, Asks.KEEP, Asks.DRAIN)
"""Tasks that another app runs from now on, and of which messages are left here."""
GONE = _kind("gone", _WITHOUT, Asks.DRAIN)
"""Tasks, and earlier names of some, that new workers do not know."""
LEAVING = _kind("leaving", "no new worker takes what is left in {names}", Asks.DRAIN)
"""Queues that only old workers consume."""
LONGER_HOLD = _kind(
    "longer-hold",
    "Redis gives a message back by the timeout of whichever worker looks: "
    "all have the longer one before anything is held for longer",
    Asks.RAISE,
)
"""The visibility timeout, where it is raised."""
REPLACED = _kind(
    "replaced",
    "RabbitMQ refuses to declare {names} or its exchange in another way while they exist: no worker of it "
    "would start, no send would pass; a queue with another name stands in for it until it is empty and made "
    "anew",
    Asks.STAND_IN,
)
"""Queues that RabbitMQ would refuse to declare."""
LEFT_ROW = _kind(
    "left-row",
    "a schedule that has left the workload is still sent as long as its row is there",
    Asks.DELETE,
)
"""Schedules that beat still sends until their rows are deleted."""
BEAT_MOVED = _kind(
    "beat-moved",
    "two beats send everything twice; without the file of its last runs beat forgets what is overdue",
    Asks.MOVE,
)
"""Beat, where it goes to another host."""


class Need(NamedTuple):
    """Something that asks for an order, with the names of what it covers."""

    kind: Kind
    names: frozenset[str]

    @property
    def sentence(self) -> str:
        """Why, in words."""
        return self.kind.says.format(names=told(sorted(self.names)))

    def of(self, names: Iterable[str]) -> Need | None:
        """What of it is about some names; None where nothing is."""
        covered = self.names.intersection(names)
        return Need(self.kind, covered) if covered else None


def reason(needs: Iterable[Need]) -> str:
    """The sentences of needs, each once."""
    return "; ".join(dict.fromkeys(need.sentence for need in needs))
