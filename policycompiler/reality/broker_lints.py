"""The configuration of brokers: what its readers refuse at a start, and the rights of users."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policycompiler.reality.problem import Problem

_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LONGEST_PROBLEM = 500
_OF_RABBITMQ = {"consumer_timeout": re.compile(r"[1-9]\d*")}
"""The lines of rabbitmq.conf that a compile can write, with the form of their values: milliseconds."""
_OF_REDIS = {
    "appendfsync": ("everysec", "always"),
    "appendonly": ("yes",),
    "maxmemory-policy": ("noeviction",),
}
"""Lines without which messages and records of guards are lost, and the values that keep them."""
_RIGHTS = 3
WORDS = len(["rabbitmqctl", "set_permissions", "-p", "HOST", "USER", "CONFIGURE", "WRITE", "READ"])
"""The words of a command that sets rights."""


def starts_redis(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Starts Redis with the file in a folder of its own, without a port, and ends it."""
    del variables
    for file in files:
        with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
            # Options of the command override those of the file.
            own = ["--port", "0", "--dir", aside, "--unixsocket", f"{aside}/socket", "--logfile", ""]
            quiet = ["--daemonize", "no", "--pidfile", f"{aside}/pid", "--supervised", "no"]
            with (Path(aside) / "log").open("w+", encoding="utf-8", errors="replace") as log:
                process = subprocess.Popen(  # noqa: S603 - the program that the caller found
                    [program, str((folder / file).resolve()), *own, *quiet],
                    cwd=aside,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                try:
                    started = _is_there(process, Path(aside) / "socket")
                finally:
                    process.kill()
                    process.wait()
                log.seek(0)
                said = log.read()
        if not started:
            line = re.search(r"at line (\d+)|Reading the configuration file, at line (\d+)", said)
            text = " ".join(said.replace(aside, "").split())[:_LONGEST_PROBLEM]
            yield Problem(file, int(line[1] or line[2]) if line else 1, f"Redis does not start: {text}")


def _is_there(process: subprocess.Popen[bytes], socket: Path) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def redis(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Lines that Redis accepts although they lose messages or records."""
    del program, variables
    for file in files:
        lines = [
            (at, *line.partition(" ")[::2])
            for at, line in enumerate((folder / file).read_text("utf-8", errors="replace").splitlines(), 1)
            if line.strip() and not line.startswith("#")
        ]
        for key, wanted in _OF_REDIS.items():
            found = [(at, value.strip()) for at, name, value in lines if name.lower() == key]
            at, value = found[-1] if found else (1, "not set")
            if value not in wanted:
                yield Problem(file, at, f"`{key}` is {value}, which loses keys: it must be `{wanted[0]}`")
        seen: dict[str, int] = {}
        for at, name, value in lines:
            if name.lower() in seen:
                yield Problem(file, at, f"`{name}` is also on line {seen[name.lower()]}")
            seen.setdefault(name.lower(), at)
            if name.lower() == "maxmemory" and re.fullmatch(r"0\w*", value.strip()):
                yield Problem(file, at, "`maxmemory 0` is no limit: remove the line")
            if name.lower() in {"requirepass", "masterauth", "user"}:
                yield Problem(file, at, f"`{name}` has a password, and the file is readable for all")


def rabbitmq(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Lines of rabbitmq.conf: RabbitMQ does not start with an unknown key or a wrong unit."""
    del program, variables
    for file in files:
        seen = set()
        for at, line in enumerate((folder / file).read_text("utf-8", errors="replace").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                yield Problem(file, at, "RabbitMQ does not start: a line is `key = value`")
            elif key not in _OF_RABBITMQ:
                yield Problem(file, at, f"RabbitMQ may not start: no compile writes `{key}`")
            elif not _OF_RABBITMQ[key].fullmatch(value):
                yield Problem(file, at, f"`{key}` is {value}: RabbitMQ wants milliseconds, without a unit")
            elif key in seen:
                yield Problem(file, at, f"`{key}` is there twice")
            seen.add(key)


def permissions(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Rights that match more than whole names."""
    del program, variables
    for file in files:
        found = commands_of((folder / file).read_text("utf-8", errors="replace"))
        if not found:
            yield Problem(file, 1, "it sets no rights")
        for at, words in found:
            if not words:
                yield Problem(file, at, "the shell cannot read it")
            else:
                yield from (Problem(file, at, problem) for problem in _rights(words))


def commands_of(text: str) -> list[tuple[int, list[str]]]:
    """Each `rabbitmqctl set_permissions` of a script: its line, and its words; none if a quote is open."""
    found = []
    for match in re.finditer(r"(?m)^ *rabbitmqctl set_permissions (?:.*\\\n)*.*$", text):
        at = text[: match.start()].count("\n") + 1
        try:
            found.append((at, shlex.split(match[0].replace("\\\n", " "))))
        except ValueError:
            found.append((at, []))
    return found


def _rights(words: Sequence[str]) -> Iterator[str]:
    """The problems of `rabbitmqctl set_permissions -p HOST USER CONFIGURE WRITE READ`."""
    _, _, *rest = words
    if rest[:1] != ["-p"] or len(words) != WORDS:
        yield "it must name a virtual host, a user, and three patterns"
        return
    if not re.fullmatch(r"\$\{\w+:-\}", rest[2]):
        yield "the user must come from a variable"
    for right, pattern in zip(("configure", "write", "read"), rest[-_RIGHTS:], strict=True):
        try:
            found = re.compile(pattern)
        except re.error as problem:
            yield f"RabbitMQ refuses the pattern to {right}: {problem}"
            continue
        whole = re.fullmatch(r"\^(\(\?:.*\))?\$", pattern)
        if whole is None:
            yield f"the pattern to {right} must begin with `^(?:` and end with `)$`"
        elif found.search("policycompiler-no-such-name") and pattern != "^$":
            yield f"the pattern to {right} matches any name"
