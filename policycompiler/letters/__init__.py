"""Dead letters in the broker of a plan: look at them, send them again, delete them.

A deed is done or undone for each letter: a process that is killed loses and doubles none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from policycompiler.letters import on_rabbitmq, on_redis
from policycompiler.letters.letter import Letter, Wanted
from policycompiler.plan import Plan, Scope
from policycompiler.reality.connection import LOOK_SECONDS, Client, bounded

__all__ = ["Deed", "Done", "Letter", "Seen", "Wanted", "boxes", "drop", "look", "replay"]

Seen = TypeVar("Seen")


class Box(Protocol):
    """The letters of a dead-letter queue, from the oldest; one that is neither moved nor dropped stays."""

    def __iter__(self) -> Iterator[Letter]:
        """Each letter, once."""
        ...

    def refuses(self, queue: str) -> str:
        """Why a queue takes no message; empty if it does."""
        ...

    def send(self, letter: Letter, queue: str, *, expires: bool) -> bool:
        """Move a letter to a queue as a new message; False if that was not possible."""
        ...

    def drop(self, letter: Letter) -> bool:
        """Delete a letter; False if it is gone already."""
        ...


class Deed(NamedTuple):
    """How to send letters again.

    `to` is another queue than their own. `expired`: also those that a worker would discard; then they never
    expire. `rehearsed`: nothing is changed.
    """

    now: datetime
    to: str = ""
    expired: bool = False
    rehearsed: bool = False


class Done(NamedTuple):
    """A letter with which something was done: the queue that has it now, empty for none; or why not."""

    letter: Letter
    queue: str
    refused: str = ""


_Opened = Callable[[Plan, Client, str, Sequence[str]], AbstractContextManager[Box]]
_BY_SERVER: Mapping[str, _Opened] = {"redis": on_redis.opened, "rabbitmq": on_rabbitmq.opened}


def boxes(plan: Plan) -> Mapping[str, Sequence[str]]:
    """Each dead-letter queue of a plan, with the queues whose letters it has."""
    found: dict[str, list[str]] = {}
    for scope in plan.scopes("queue"):
        if (dead := plan.get(scope, "dead_letter_queue")) is not None:
            found.setdefault(str(dead), []).append(scope.name)
    return found if plan.broker.server in _BY_SERVER else {}


def look(
    plan: Plan,
    app: Client,
    dead: str,
    wanted: Wanted,
    read: Callable[[Letter], Seen],
    most: int | None = None,
) -> list[Seen]:
    """What `read` makes of the letters of a dead-letter queue that are wanted, from the oldest.

    Raises `UnreachableError`, also if it takes too long.
    """
    with bounded(LOOK_SECONDS), _opened(plan, app, dead) as box:
        found = (letter for letter in box if wanted.has(letter))
        return [read(letter) for letter in islice(found, most)]


def replay(plan: Plan, app: Client, dead: str, wanted: Wanted, deed: Deed) -> Iterator[Done]:
    """Send letters to their queues again, from the oldest. Raises `UnreachableError`."""
    queues = boxes(plan)[dead]
    with _opened(plan, app, dead) as box:
        for letter in box:
            queue = deed.to or letter.queue
            if not wanted.has(letter):
                continue
            if refused := _refused(plan, letter, deed, queues) or box.refuses(queue):
                yield Done(letter, "", refused)
            elif deed.rehearsed or box.send(letter, queue, expires=not _is_expired(letter, deed.now)):
                yield Done(letter, queue)
            else:
                yield Done(letter, "", "it could not be moved: look again")
                return


def drop(plan: Plan, app: Client, dead: str, wanted: Wanted, deed: Deed) -> Iterator[Done]:
    """Delete letters, from the oldest. Raises `UnreachableError`."""
    with _opened(plan, app, dead) as box:
        for letter in box:
            if wanted.has(letter) and (deed.rehearsed or box.drop(letter)):
                yield Done(letter, "")


def _opened(plan: Plan, app: Client, dead: str) -> AbstractContextManager[Box]:
    return _BY_SERVER[plan.broker.server](plan, app, dead, boxes(plan)[dead])


def _refused(plan: Plan, letter: Letter, deed: Deed, queues: Sequence[str]) -> str:
    """Why a letter stays; anybody may have written it, so it cannot choose any queue."""
    if not (deed.to or letter.queue):
        return "it does not say from which queue it came: name one with --to"
    if not deed.to and letter.queue not in queues:
        return f"{letter.dead} keeps no letters of queue {letter.queue}: name a queue with --to"
    # A broker that keeps declarations says whether another plan's queue exists.
    if deed.to and not plan.keys(Scope("queue", deed.to)) and not plan.broker.declarations:
        return f"the plan has no queue {deed.to}"
    if not deed.expired and _is_expired(letter, deed.now):
        return "it has expired, so a worker would discard it: --expired sends it without its expiry"
    return ""


def _is_expired(letter: Letter, now: datetime) -> bool:
    return letter.expires is not None and letter.expires <= now
