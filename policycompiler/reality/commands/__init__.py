"""The commands that start workers, beat and monitors today, read from the files of a process manager.

`files` finds commands in a file, `celery_words` reads the words of one with Celery's own parsers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.reality.commands.celery_words import Command, commands_of
from policycompiler.reality.commands.files import environment_of, invocations
from policycompiler.reality.commands.invocation import Environment, Invocation, Unread

__all__ = ["Command", "Found", "Unread", "read"]


_NONE: Environment = MappingProxyType({})


class Found(NamedTuple):
    """The commands of all files, and the places where a command could not be read, each with the reason."""

    commands: tuple[Command, ...]
    unread: tuple[Unread, ...]


def read(paths: Iterable[Path], *, root: Path, variables: Environment = _NONE) -> Found:
    """The commands in files; `variables`, and files with environment variables, help to read the others.

    Places are relative to `root`.
    """
    commands: list[Command] = []
    unread: list[Unread] = []
    texts: dict[str, str] = {}
    for path in sorted(paths):
        name = _relative(path, root)
        try:
            if path.exists() and not path.is_file():
                unread.append(Unread(name, "not a regular file"))
                continue
            texts[name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            unread.append(Unread(name, getattr(problem, "strerror", None) or "not UTF-8 text"))
    for text in texts.values():
        variables = {**variables, **environment_of(text)}
    for name, text in texts.items():
        try:
            found, broken = _of_file(name, text, variables)
        except RecursionError:
            found, broken = [], [Unread(name, "nested too deeply")]
        if not (found or broken or environment_of(text)):
            broken = [Unread(name, "no command of a worker or of beat was found in this file")]
        commands += found
        unread += broken
    return Found(tuple(commands), tuple(unread))


def _of_file(name: str, text: str, variables: Mapping[str, str]) -> tuple[list[Command], list[Unread]]:
    commands: list[Command] = []
    unread: list[Unread] = []
    for each in invocations(name, text, variables):
        if isinstance(each, Invocation):
            for found in commands_of(each):
                (commands if isinstance(found, Command) else unread).append(found)  # type: ignore[arg-type]
        else:
            unread.append(each)
    return commands, unread


def _relative(path: Path, root: Path) -> str:
    absolute = path.resolve()
    base = root.resolve()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else path.name
