"""One command line as a file has it, before Celery's parsers read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Environment: TypeAlias = Mapping[str, str]


class Invocation(NamedTuple):
    """The words of one command, and what its file says about the process.

    `words` begin before `celery`. A variable without a known value stays `${NAME}` or `${NAME:-default}`.
    `name` is the name of the process in the file, empty without one. `replicas` is None if the file does not
    say a number, `stop_seconds` if it does not say how long a stop may take. `place` is the file with the
    line or the entry.
    """

    words: tuple[str, ...]
    place: str
    name: str = ""
    environment: Environment = MappingProxyType({})
    replicas: int | None = None
    stop_seconds: float | None = None


class Unread(NamedTuple):
    """A place that has a command which cannot be read, and why."""

    place: str
    why: str
