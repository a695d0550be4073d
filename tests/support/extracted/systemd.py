"""The processes of units, read by the rules of systemd.service(5) and systemd.exec(5)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from extracted import Process
from extracted.words import process


def processes(folder: Path, service: str, variables: Mapping[str, str]) -> list[Process]:
    """The workers and beat of all folders with units; replicas are added up over the hosts.

    `variables` are those of the environment file.
    """
    instances: dict[str, int] = {}
    for target in folder.rglob("*.target"):
        for unit in re.findall(r"(?m)^Wants=(\S+)$", target.read_text("utf-8")):
            template = re.sub(r"@\d+\.", "@.", unit)
            instances[template] = instances.get(template, 0) + 1
    units = {path.name: path for path in sorted(folder.rglob("*.service"))}
    found = [_process(path, service, variables, instances.get(name, 0)) for name, path in units.items()]
    return sorted(found, key=lambda each: (each.kind, each.worker))


def _process(path: Path, service: str, given: Mapping[str, str], replicas: int) -> Process:
    fields = list(_fields(path.read_text("utf-8")))
    (command,) = (value for key, value in fields if key == "ExecStart")
    variables = dict(
        _plain(word).split("=", 1)
        for key, value in fields
        if key == "Environment"
        for word in shlex.split(value)
    )
    variables.pop("PATH", None)
    words = [_expanded(_plain(word), given) for word in shlex.split(command)]
    if words[0] == "/usr/bin/env":
        words.pop(0)
    values = dict(fields)
    memory = values.get("MemoryMax")
    return process(
        words,
        name=path.name.removeprefix(f"{service}-worker-").removesuffix("@.service"),
        replicas=replicas,
        grace_seconds=int(values["TimeoutStopSec"].removesuffix("s")),
        memory_bytes=None if memory is None else int(memory),
        environment=variables,
    )


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            yield key, value


def _plain(word: str) -> str:
    """A word with its specifiers: `%i` is the first instance, `%%` a percent sign."""
    return re.sub(r"%(.)", lambda match: {"i": "1", "%": "%"}[match[1]], word)


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """A word of a command with its variables; two dollar signs are one."""
    return re.sub(r"\$\$|\$\{(\w+)\}", lambda match: variables[match[1]] if match[1] else "$", word)
