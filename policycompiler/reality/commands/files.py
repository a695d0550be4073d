"""Finds the commands in the files of process managers: each format with its own real reader."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from policycompiler.reality.commands.containers import in_yaml, line_of
from policycompiler.reality.commands.invocation import Environment, Invocation, Unread
from policycompiler.reality.commands.managers import supervisor, systemd
from policycompiler.reality.commands.shell import commands_in, lines_of

__all__ = ["Environment", "Invocation", "environment_of", "invocations"]

_PROCFILE_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
_VARIABLE_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
_STARTS_A_COMMAND = re.compile(r"[^\s\"']*\s(?:\S+\s+)*(?:\S*/)?celery\s")
"""What stands behind `NAME=` if a command follows the value."""


def invocations(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    """The commands in a file, by its name and contents."""
    last = name.rpartition("/")[2].lower()
    by_name = next((read for kinds, read in _BY_NAME.items() if re.search(kinds, last)), None)
    if by_name is not None:
        return by_name(name, text, variables)
    if re.search(r"^\[(program|eventlistener|fcgi-program):", text, re.MULTILINE):
        return supervisor(name, text, variables)
    if _is_procfile(text):
        return _procfile(name, text, variables)
    if environment_of(text):
        return iter(())
    return commands_in(text, variables, name)


def environment_of(text: str) -> dict[str, str]:
    """The variables of a file with nothing but variables, such as an EnvironmentFile; empty for others."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.strip()
        if not plain or plain.startswith(("#", ";")):
            continue
        match = _VARIABLE_LINE.fullmatch(plain)
        if match is None or _STARTS_A_COMMAND.match(match[2]):
            return {}
        found[match[1]] = match[2].strip().strip("\"'")
    return found


def _procfile(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := _PROCFILE_LINE.fullmatch(line.strip()):
            yield from commands_in(found[2], variables, f"{name}:{number}", found[1])


def _is_procfile(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines()]
    return all(_PROCFILE_LINE.fullmatch(line) for line in lines if line and not line.startswith("#"))


def _dockerfile(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    for number, line in lines_of(text):
        found = re.match(r"(?:CMD|ENTRYPOINT)\s+(.*)", line)
        if found is None:
            continue
        try:
            words = json.loads(found[1]) if found[1].startswith("[") else found[1]
            command = line_of(words)
        except (ValueError, RecursionError):
            yield Unread(f"{name}:{number}", "its words are not a list of texts")
            continue
        yield from commands_in(command, variables, f"{name}:{number}")


_BY_NAME: Mapping[str, Callable[[str, str, Environment], Iterator[Invocation | Unread]]] = {
    r"\.service(\.in)?$": systemd,
    r"\.(ya?ml|json)$": in_yaml,
    r"^procfile": _procfile,
    r"^dockerfile|\.dockerfile$": _dockerfile,
}
"""The readers of files whose names say what they are."""
