"""Dead letters: tables and texts for people, JSON for machines. Arguments only where they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from policycompiler.report.text import clean, clipped, counted, table

FORMAT = 1
LONGEST_VALUE = 2000
"""Characters of an argument that are shown."""
_MOST_PARTS = 50
_UNKNOWN = "?"


class LetterNow(NamedTuple):
    """A letter: texts are empty, and the rest None, where its message does not say them.

    `arguments` are positional and named ones; None if they cannot be read.
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
    size: int
    arguments: tuple[Sequence[Any], Mapping[str, Any]] | None


class Group(NamedTuple):
    """Letters of a dead-letter queue with the same task, reason and exception."""

    dead: str
    task: str
    reason: str
    exception: str
    letters: int
    oldest: datetime | None
    newest: datetime | None


class Moved(NamedTuple):
    """A letter that was sent to a queue or dropped, or the reason why it was not."""

    dead: str
    task: str
    id: str
    queue: str
    refused: str


def list_text(groups: Sequence[Group], empty: Sequence[str]) -> str:
    """A table; dead-letter queues without letters are named below it."""
    rows = [("dead-letter queue", "letters", "task", "reason", "exception", "oldest", "newest")]
    rows += [
        (
            each.dead,
            str(each.letters),
            each.task or _UNKNOWN,
            each.reason,
            each.exception,
            _time(each.oldest),
            _time(each.newest),
        )
        for each in groups
    ]
    lines = table(rows) if groups else []
    lines += [clean(f"{name}: no dead letters") for name in empty]
    return "\n".join(lines) + "\n"


def list_json(groups: Sequence[Group]) -> str:
    """The same for machines."""
    found = [{**each._asdict(), "oldest": _iso(each.oldest), "newest": _iso(each.newest)} for each in groups]
    return _json({"format": FORMAT, "groups": found})


def show_text(letters: Iterable[LetterNow], *, values: bool) -> str:
    """Each letter as a block of lines; the values of arguments only with `values`."""
    blocks = ["\n".join(_lines(each, values=values)) for each in letters]
    return "\n\n".join(blocks) + "\n" if blocks else "no dead letters\n"


def show_json(letters: Iterable[LetterNow], *, values: bool) -> str:
    """The same for machines."""
    found = [
        {
            **each._asdict(),
            "when": _iso(each.when),
            "expires": _iso(each.expires),
            "arguments": None if each.arguments is None else _arguments(each.arguments, values=values),
        }
        for each in letters
    ]
    return _json({"format": FORMAT, "letters": found})


def moved_text(moved: Sequence[Moved], *, verb: str) -> str:
    """A line for each letter, and the number of letters at the end; `verb` says what was done."""
    lines = [_line(each, verb) for each in moved]
    done = [each for each in moved if not each.refused]
    kept = len(moved) - len(done)
    end = f"{verb} {counted(len(done), 'letter')}{f'; {kept} left as they are' if kept else ''}"
    return "\n".join([*lines, end]) + "\n"


def moved_json(moved: Sequence[Moved]) -> str:
    """The same for machines."""
    return _json({"format": FORMAT, "moved": [each._asdict() for each in moved]})


def _line(each: Moved, verb: str) -> str:
    name = f"{each.task or _UNKNOWN} {each.id or '(no id)'}"
    if each.refused:
        return clean(f"left {name} in {each.dead}: {each.refused}")
    return clean(f"{verb} {name}{f' to {each.queue}' if each.queue else ''}")


def _lines(letter: LetterNow, *, values: bool) -> Iterator[str]:
    yield clean(f"{letter.task or _UNKNOWN} {letter.id or '(no id)'}")
    exception = f"{letter.exception}{f' at {letter.place}' if letter.place else ''}"
    told = {
        "in": f"{letter.dead}{f', from queue {letter.queue}' if letter.queue else ''}",
        "reason": f"{letter.reason}{f': {exception}' if exception else ''}",
        "when": _time(letter.when),
        "expires": "" if letter.expires is None else _time(letter.expires),
        "retries": "" if letter.retries is None else str(letter.retries),
        "size": f"{letter.size:,} bytes",
    }
    yield from (clean(f"  {name:<9}{value}") for name, value in told.items() if value)
    if letter.arguments is None:
        yield "  arguments: they cannot be read"
        return
    for name, value in _arguments(letter.arguments, values=values).items():
        yield clipped(clean(f"  {name}: {value}"), LONGEST_VALUE)


def _arguments(found: tuple[Sequence[Any], Mapping[str, Any]], *, values: bool) -> dict[str, str]:
    """The arguments by number or name, each as its type, or as JSON."""
    parts = [*((str(number), each) for number, each in enumerate(found[0], 1)), *found[1].items()]
    return {
        clipped(name, LONGEST_VALUE): clipped(json.dumps(each), LONGEST_VALUE) if values else _shape(each)
        for name, each in parts[:_MOST_PARTS]
    }


def _shape(value: object) -> str:
    match value:
        case str() | list() | dict():
            return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _time(moment: datetime | None) -> str:
    return _UNKNOWN if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(data: object) -> str:
    return json.dumps(data, indent=2) + "\n"
