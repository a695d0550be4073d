"""A dead letter, as a broker has it: from which queue, why, and when. Anybody may have written it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from policycompiler.runtime.dead_letters import HEADER

FOREIGN = "foreign"
"""The reason of a message that neither RabbitMQ nor a worker put there."""
LONGEST_WORD = 300
"""Characters of a name or an id; Celery's own are shorter."""
LONGEST_READ = 1 << 20
"""Bytes of a body of which arguments are read."""
_COUNTS = ("x-delivery-count", "x-acquired-count")
_OF_RABBITMQ = ("x-death", "x-first-death-", "x-last-death-", *_COUNTS)
"""What RabbitMQ says of a dead letter; a message with it, that dies again, may be taken for a cycle."""


class Letter(NamedTuple):
    """A dead letter. Texts are empty, and times None, where the message does not say them.

    `dead` is the queue that has it, `queue` the one that it came from. `expires` is when a worker starts to
    discard it. `handle` finds it again in the broker.
    """

    dead: str
    queue: str
    task: str
    id: str
    reason: str
    exception: str
    place: str
    when: datetime | None
    expires: datetime | None
    retries: int | None
    priority: int | None
    headers: Mapping[str, Any]
    content_type: str
    body: bytes | None
    size: int
    handle: Any


class Wanted(NamedTuple):
    """The letters that a person means: by task (`*` stands for any text), id, reason and queue.

    Empty means any.
    """

    tasks: Collection[str] = ()
    ids: Collection[str] = ()
    reasons: Collection[str] = ()
    queues: Collection[str] = ()

    def has(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.tasks or any(fnmatchcase(letter.task, each) for each in self.tasks))
            and (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.queues or letter.queue in self.queues)
        )


class Stored(NamedTuple):
    """A message as a broker returns it."""

    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    content_type: str
    body: bytes | None
    size: int


def letter_of(stored: Stored, dead: str, queues: Collection[str], handle: object) -> Letter:
    """A message of a dead-letter queue, which has the letters of these queues."""
    headers, told = stored.headers, _told(stored.headers)
    death = _death(headers, queues)
    task, id_ = _word(headers.get("task")), _word(headers.get("id"))
    if "task" not in headers and isinstance(first := _decoded(stored.content_type, stored.body), dict):
        # The first protocol of Celery has all fields in the body.
        task, id_ = _word(first.get("task")), _word(first.get("id"))
    return Letter(
        dead=dead,
        queue=_word((death or told).get("queue")),
        task=task,
        id=id_,
        reason=_word((death or told).get("reason")) or FOREIGN,
        exception="" if death else _word(told.get("exception")),
        place="" if death else _word(told.get("place")),
        when=_moment((death or told).get("time" if death else "when")),
        expires=_moment(headers.get("expires")),
        retries=_number(headers.get("retries")),
        priority=_number(told.get("priority") or stored.properties.get("priority")),
        headers=headers,
        content_type=_word(stored.content_type),
        body=stored.body,
        size=stored.size,
        handle=handle,
    )


def headers_again(letter: Letter, *, expires: bool) -> dict[str, Any]:
    """The headers of the message when it is sent again: with all its retries.

    With `expires` False it never expires.
    """
    kept = {
        name: value
        for name, value in letter.headers.items()
        if name not in (HEADER, "redelivered") and not name.startswith(_OF_RABBITMQ)
    }
    if "retries" in kept:
        kept["retries"] = 0
    if not expires and kept.get("expires") is not None:
        kept["expires"] = None
    return kept


def headers_at_rest(letter: Letter) -> dict[str, Any]:
    """The headers of a message that stays a dead letter, with what RabbitMQ may drop in a header of ours."""
    told = {"queue": letter.queue, "reason": letter.reason}
    if letter.when is not None:
        told["when"] = letter.when.isoformat(timespec="seconds")
    kept = {name: value for name, value in letter.headers.items() if name not in _COUNTS}
    return kept if HEADER in kept or letter.reason == FOREIGN else {**kept, HEADER: told}


def arguments(letter: Letter) -> tuple[list[Any], Mapping[str, Any]] | None:
    """The arguments of a task; None where its body is not plain JSON."""
    if letter.headers.get("compression"):
        return None
    found = _decoded(letter.content_type, letter.body)
    if isinstance(found, dict):
        found = [found.get("args"), found.get("kwargs")]
    match found:
        case [list() as positional, dict() as named, *_]:
            return positional, named
    return None


def _told(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    told = headers.get(HEADER)
    return told if isinstance(told, Mapping) else {}


def _death(headers: Mapping[str, Any], queues: Collection[str]) -> Mapping[str, Any]:
    """The newest death in one of these queues. A worker's copy has none, so it is newer than the worker's."""
    deaths = headers.get("x-death")
    several: Iterator[Any] = iter(deaths if isinstance(deaths, list) else ())
    return next((each for each in several if isinstance(each, Mapping) and each.get("queue") in queues), {})


def _decoded(content_type: str, body: bytes | None) -> object:
    if body is None or len(body) > LONGEST_READ or content_type != "application/json":
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _word(value: object) -> str:
    return value[:LONGEST_WORD] if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(LONGEST_READ)) else None


def _moment(value: object) -> datetime | None:
    """A time of a header, as text or as AMQP has it; one without a zone is in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
