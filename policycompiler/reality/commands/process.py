"""What a file says about the process of a command: how many, how long a stop may take, and its variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import NamedTuple

from policycompiler.reality.commands.invocation import Environment, Invocation, Unread

_SECONDS = {
    unit: seconds
    for units, seconds in (
        ("us usec", 1e-6),
        ("ms msec", 1e-3),
        ("s sec second seconds", 1),
        ("m min minute minutes", 60),
        ("h hr hour hours", 3600),
        ("d day days", 86400),
    )
    for unit in units.split()
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


class Process(NamedTuple):
    """Facts about one process. `problems` say which fields have a value that cannot be carried."""

    environment: Environment
    replicas: int | None
    stop_seconds: float | None
    problems: tuple[str, ...]

    def start(self, found: Iterable[Invocation | Unread], place: str) -> Iterator[Invocation | Unread]:
        """Commands with these facts; the problems only matter if there is a command."""
        any_command = False
        for each in found:
            any_command = any_command or isinstance(each, Invocation)
            yield each if isinstance(each, Unread) else self._with(each)
        if any_command:
            yield from (Unread(place, problem) for problem in self.problems)

    def _with(self, found: Invocation) -> Invocation:
        environment = {**self.environment, **found.environment}
        return found._replace(environment=environment, replicas=self.replicas, stop_seconds=self.stop_seconds)


def process(
    environment: Mapping[str, str], *, replicas: tuple[str, object], stop: tuple[str, object]
) -> Process:
    """Facts from fields, each with its name and value; None is a field that is not there."""
    problems = []
    many, seconds = number(replicas[1]), timespan(stop[1])
    if many is None or many < 0 or many != int(many):
        many = None
        if replicas[1] is not None:
            problems.append(f"`{replicas[0]}` is not a whole number; it is not carried")
    if seconds is None and stop[1] is not None:
        problems.append(f"`{stop[0]}` is not a time that a workload can have; it is not carried")
    return Process(environment, None if many is None else int(many), seconds, tuple(problems))


def number(given: object) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(str(given)) if isinstance(given, str | int | float) else None
    except ValueError:
        return None
    return found if found is not None and isfinite(found) else None


def timespan(given: object) -> float | None:
    """A time of systemd or of Docker in seconds; None for `infinity` and for what is none."""
    if (plain := number(given)) is not None:
        return plain if plain >= 0 else None
    text = given if isinstance(given, str) else ""
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text) or any(unit not in _SECONDS for _, unit in parts):
        return None
    return number(sum(float(amount) * _SECONDS[unit] for amount, unit in parts))
