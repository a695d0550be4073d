"""Files that their readers accept, and that still lose tasks, leave a worker down, or show a password.

Each lint reads one kind of file and yields its problems. A worker needs two things of what starts it: at a
stop only Celery's main process gets TERM, and a process that ends starts again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from configparser import Error, RawConfigParser
from pathlib import Path
from typing import Any

import yaml

from policycompiler.reality.problem import Problem

_UNIT = {
    "Type": "exec",
    "KillMode": "mixed",
    "KillSignal": "SIGTERM",
    "Restart": "always",
    "StartLimitIntervalSec": "0",
    "NoNewPrivileges": "yes",
}
_PROGRAM = {
    "autostart": "true",
    "autorestart": "true",
    "stopsignal": "TERM",
    "stopasgroup": "false",
    "killasgroup": "true",
}
_SIGNALS = frozenset({"SIGTERM", "TERM", "15"})
_RESTARTS = frozenset({"always", "unless-stopped"})
_RAW_VALUE = re.compile(r"[^\s\"'#\\]*")


def units(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Services of systemd."""
    del program, variables
    for file in files:
        if not file.endswith(".service"):
            continue
        lines = (folder / file).read_text("utf-8", errors="replace").splitlines()
        fields = [(at, *line.partition("=")[::2]) for at, line in enumerate(lines, 1) if "=" in line]
        for key, wanted in _UNIT.items():
            found = [(at, value.strip()) for at, name, value in fields if name.strip() == key]
            at, value = found[-1] if found else (1, "not set")
            if value != wanted:
                yield Problem(file, at, f"`{key}` is {value}; a worker needs `{key}={wanted}`")
        for at, name, value in fields:
            if name == "Environment" and re.search(r"://[^/\s]*@", value):
                yield Problem(file, at, "`Environment=` has a password, and every user can read it")
            if name == "EnvironmentFile" and value.startswith("-"):
                yield Problem(file, at, "`EnvironmentFile=-` starts the process without its secrets")


def programs(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Programs of supervisor: its own reader accepts unknown keys."""
    del program, variables
    for file in files:
        parser = RawConfigParser(inline_comment_prefixes=(" ;",), strict=True)
        text = (folder / file).read_text("utf-8", errors="replace")
        try:
            parser.read_string(text)
        except Error as problem:
            yield Problem(file, 1, " ".join(str(problem).split()))
            continue
        members: set[str] = set()
        for section in parser.sections():
            kind, _, name = section.partition(":")
            at = _line(text, f"[{section}]")
            if kind not in ("program", "group"):
                yield Problem(file, at, f"section `{section}` is not known, so supervisor ignores it")
            if kind == "group":
                members = {each.strip() for each in parser.get(section, "programs", fallback="").split(",")}
            if kind == "program":
                yield from _program(file, at, name, dict(parser.items(section)))
        names = {name.partition(":")[2] for name in parser.sections() if name.startswith("program:")}
        for name in sorted(names ^ members):
            yield Problem(file, 1, f"program `{name}` is not both in the group and in a section")


_KEYS = frozenset(
    (
        *("command", "process_name", "numprocs", "numprocs_start", "priority", "autostart", "autorestart"),
        *("startsecs", "startretries", "stopsignal", "stopasgroup", "killasgroup", "stopwaitsecs"),
        *("redirect_stderr", "stdout_logfile"),
    )
)


def _program(file: str, at: int, name: str, fields: Mapping[str, str]) -> Iterator[Problem]:
    for key in sorted(set(fields) - _KEYS):
        yield Problem(file, at, f"program `{name}`: supervisor ignores the unknown key `{key}`")
    for key, wanted in _PROGRAM.items():
        if fields.get(key) != wanted:
            found = fields.get(key, "not set")
            yield Problem(file, at, f"program `{name}`: `{key}` is {found}; a worker needs `{wanted}`")
    if not (fields.get("startretries", "").isdigit() and int(fields["startretries"]) >= 1000):  # noqa: PLR2004
        yield Problem(file, at, f"program `{name}`: supervisor gives up after `startretries`")


def scripts(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Launch scripts: the shell must be replaced, or signals end in it."""
    del program, variables
    for file in files:
        text = (folder / file).read_text("utf-8", errors="replace")
        if not text.startswith("#!/bin/sh\n"):
            yield Problem(file, 1, "the first line is not `#!/bin/sh`")
        if not re.search(r"(?m)^set -eu$", text):
            yield Problem(file, 1, "without `set -eu` Celery starts although a variable is missing")
        if not re.search(r"(?m)^exec ", text):
            yield Problem(file, 1, "without `exec` the shell gets the signals, and the worker does not stop")
        if not text.rstrip().endswith('"$@"'):
            yield Problem(file, text.count("\n"), 'the command does not end with `"$@"`')
        if not (folder / file).stat().st_mode & 0o100:
            yield Problem(file, 1, "the script is not executable")


def services(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Services of Compose: it accepts any text as a restart policy or a signal."""
    del program, variables
    for file in files:
        text = (folder / file).read_text("utf-8", errors="replace")
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        services = _map(_map(document).get("services"))
        for name, service in services.items():
            fields, at = _map(service), _line(text, f'"{name}":', f"{name}:")
            for problem in _service(str(name), fields):
                yield Problem(file, at, f"service `{name}`: {problem}")
        beats = [name for name in services if _map(_map(services[name]).get("deploy")).get("replicas") != 1]
        if "beat" in beats:
            yield Problem(file, 1, "service `beat`: only one beat may run; write `replicas: 1`")


def _service(name: str, fields: Mapping[str, Any]) -> Iterator[str]:
    if fields.get("restart") not in _RESTARTS:
        yield f"`restart` is {fields.get('restart')}; a process that ends must start again: `unless-stopped`"
    for port in fields.get("ports") or ():
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is open to every network; write `127.0.0.1:` before it"
    if name.startswith("worker-") or name == "beat":
        yield from _process(fields)


def _process(fields: Mapping[str, Any]) -> Iterator[str]:
    """What a worker or beat needs in order to stop well."""
    if str(fields.get("stop_signal", "SIGTERM")) not in _SIGNALS:
        yield f"`stop_signal` is {fields['stop_signal']}; a worker finishes its runs only after `SIGTERM`"
    if fields.get("init") is not True:
        yield "without `init: true` Celery is PID 1, and nobody ends orphans"
    if not isinstance(fields.get("command"), list):
        yield "`command` must be a list of words: a shell would get the signals"
    if "stop_grace_period" not in fields:
        yield "without `stop_grace_period` Docker kills runs after 10 s"
    if "container_name" in fields:
        yield "with a `container_name` the service cannot have several containers"
    if any(re.search(r"://[^/\s]*@", str(value)) for value in _map(fields.get("environment")).values()):
        yield "`environment` has a password; everybody can read the file"


def environment(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """`.env.example`: a name for each variable that the settings read, and no secret."""
    del program
    for file in files:
        names = []
        for at, line in enumerate((folder / file).read_text("utf-8", errors="replace").splitlines(), 1):
            if not line or line.startswith("# ") or line == "#":
                continue
            name, sign, value = line.removeprefix("#").partition("=")
            if not sign or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                yield Problem(file, at, "the line is neither a comment nor `NAME=value`")
                continue
            if name in names:
                yield Problem(file, at, f"`{name}` is there twice; readers take different ones")
            names.append(name)
            if not _RAW_VALUE.fullmatch(value):
                yield Problem(file, at, f"`{name}`: readers do not agree about quotes, blanks, `#` and `\\`")
            if re.search(r"://[^/\s]*:[^/\s]*@", value) and "guest:guest@" not in value:
                yield Problem(file, at, f"`{name}` has a password; this file is for everybody")
        for name in sorted(set(variables) - set(names) - {"POLICYCOMPILER_NAMESPACE"}):
            yield Problem(file, 1, f"`{name}` is missing, which the settings read")


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _line(text: str, *beginnings: str) -> int:
    """The first line that begins so; 1 if none does."""
    for at, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith(beginnings):
            return at
    return 1
