"""Finds the commands in the files of supervisor and of systemd."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator

from policycompiler.reality.commands.invocation import Environment, Invocation, Unread
from policycompiler.reality.commands.process import process
from policycompiler.reality.commands.shell import commands_in


def supervisor(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    """The commands of the programs in a configuration of supervisor."""
    parser = configparser.RawConfigParser(
        inline_comment_prefixes=(";", " #"), strict=False, allow_no_value=True
    )
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError):
        # `AttributeError`: the parser of Python 3.11 for a line that continues a key without a value.
        yield Unread(name, "not a supervisor configuration")
        return
    for section in parser.sections():
        kind, _, program = section.partition(":")
        command = parser.get(section, "command", fallback=None)
        if kind not in ("program", "fcgi-program") or not command:
            continue
        own = _supervisor_environment(parser.get(section, "environment", fallback="") or "")
        about = process(
            own,
            replicas=("numprocs", parser.get(section, "numprocs", fallback="1")),
            stop=("stopwaitsecs", parser.get(section, "stopwaitsecs", fallback="10")),
        )
        place = f"{name} [{section}]"
        plain = _supervisor_expansions(command, program).replace("\n", " ")
        yield from about.start(commands_in(plain, {**variables, **own}, place, program), place)


def _supervisor_expansions(text: str, program: str) -> str:
    """Supervisor's `%(…)s` as what they stand for, a variable of the environment as a shell has it."""
    text = re.sub(r"%\(ENV_(\w+)\)s", r"${\1}", text)
    text = text.replace("%(program_name)s", program)
    text = re.sub(r"%\((process_num|numprocs|here|host_node_name|group_name)\)\d*[sd]", r"${\1}", text)
    return text.replace("%%", "%")


def _supervisor_environment(text: str) -> dict[str, str]:
    return {key: value.strip("\"'") for key, value in re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|[^,]*)", text)}


def systemd(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    """The commands that a unit of systemd starts."""
    own: dict[str, str] = {}
    starts: list[str] = []
    stop: tuple[str, str | None] = ("TimeoutStopSec", None)
    for key, value in _unit_fields(text):
        if key == "Environment":
            try:
                own = {**own, **_unit_environment(value)} if value else {}
            except ValueError:
                yield Unread(name, "`Environment=` has a quote that is not closed")
        elif key == "ExecStart":
            # An empty value forgets the earlier ones.
            starts = [*starts, value] if value else []
        elif key in ("TimeoutSec", "TimeoutStopSec"):
            stop = (key, value or None)
    about = process(own, replicas=("", None), stop=stop)
    unit = name.rpartition("/")[2].removesuffix(".in").removesuffix(".service").removesuffix("@")
    for value in starts:
        signs, command = re.fullmatch(r"([-@:+!|]*)(.*)", value, re.DOTALL).groups()  # type: ignore[union-attr]
        if "@" in signs:
            # The second word is the name that the process shows.
            command = re.sub(r"^(\S+)\s+\S+", r"\1", command)
        plain = re.sub(r"%([ihnNpu])", r"${systemd_\1}", command.replace("%%", "\0")).replace("\0", "%")
        yield from about.start(commands_in(plain, {**variables, **own}, name, unit), name)


def _unit_fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a unit. Comments may stand between the lines of one value."""
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        if line.rstrip().endswith("\\"):
            joined += line.rstrip()[:-1] + " "
            continue
        key, sign, value = (joined + line).partition("=")
        joined = ""
        if sign:
            yield key.strip(), value.strip()


def _unit_environment(value: str) -> dict[str, str]:
    """The variables of one `Environment=`. Raises `ValueError` for a quote that is not closed."""
    pairs = [each.partition("=") for each in shlex.split(value)]
    return {key: found for key, sign, found in pairs if sign}
