"""The words before `celery`: which of them a workload may have, as none of them can be a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PROGRAM = re.compile(r"[A-Za-z][\w.+-]*")
_MOST_WORDS = 40
"""The most words that one program has with its options."""
_PATH = r"(?:[\w./-]*/)?"
_NUMBER = r"-?\d+"
_TIME = r"\d+(?:\.\d+)?[smhd]?"

_DROPPED = {
    "--": "",
    "dumb-init": r" -[cv]| --single-child| --rewrite \d+:\d+| --",
    "exec": "",
    "nohup": "",
    "time": " -p",
    "tini": r" -[gsvw]| -p [A-Z]+| -e \d+| --",
}
"""Programs that belong to the process manager, with their options; a new command does not need them."""
_KEPT = {
    "chpst": rf" -[mdofpcrtalsn] {_NUMBER}| -u [a-z_][\w-]*| -[P012v]",
    "chrt": r" -[abfior]| --(?:batch|fifo|idle|other|rr|all-tasks)",
    "ddtrace-run": " -[vd]",
    "env": r" -u ?[A-Za-z_]\w*| --unset=[A-Za-z_]\w*",
    "ionice": r" -[cn] ?\d| --class(?:data)?[ =]\d| -t",
    "newrelic-admin run-program": "",
    "nice": rf" -n ?{_NUMBER}| -\d+| --adjustment={_NUMBER}",
    "numactl": r" --(?:interleave|membind|cpunodebind|physcpubind|preferred)[ =](?:all|[\d,-]+)| --localalloc"
    r"| -[imNCpl](?: (?:all|[\d,-]+))?",
    "opentelemetry-instrument": r" --(?:traces|metrics|logs)_exporter[ =][a-z_,]+| --service_name[ =][\w.-]+",
    "pipenv run": "",
    "poetry run": "",
    r"python(?:\d[\d.]*)? -m": "",
    "setsid": " -[cfw]",
    "stdbuf": r" -[ioe] ?(?:[0L]|\d+[KM]?)",
    "taskset": r" -a| --all-tasks",
    "timeout": rf" -k ?{_TIME}| --kill-after={_TIME}| -s ?[A-Z]+| --signal=[A-Z]+| -v| --foreground",
    "uv run": r" --(?:no-sync|frozen|locked|no-dev|all-extras|quiet|offline)| -q",
}
"""Programs that a new command needs too, with their options."""
_OPERANDS = {
    "chrt": r" \d+",
    "taskset": r"(?: -c| --cpu-list)? (?:0x)?[\da-fA-F,:-]+",
    "timeout": f" {_TIME}",
}
"""What stands between the options of a program and the command that it runs."""


def _patterns(programs: dict[str, str]) -> list[re.Pattern[str]]:
    return [
        re.compile(rf"{_PATH}{program}(?:{options or '(?!)'})*{_OPERANDS.get(program, '')}(?: |$)")
        for program, options in programs.items()
    ]


_WRAPPERS = [(pattern, keep) for keep in (False, True) for pattern in _patterns(_KEPT if keep else _DROPPED)]


class Prefix(NamedTuple):
    """The words that a workload may have, the variables that are set, and the program that is left out."""

    words: tuple[str, ...]
    environment: dict[str, str]
    left: str


def prefix_of(words: Sequence[str]) -> Prefix:
    """Read the words before `celery`. All are left out if one is not known: it may be a secret."""
    kept: list[str] = []
    environment: dict[str, str] = {}
    rest, last = list(words), ""
    while rest:
        if last in ("", "env") and (found := _ASSIGNMENT.fullmatch(rest[0])):
            environment[found[1]] = found[2]
            rest = rest[1:]
            continue
        length, keep = _wrapper(rest)
        if not length:
            return Prefix((), environment, _named(last if last and rest[0].startswith("-") else rest[0]))
        last = rest[0].rpartition("/")[2]
        # `env` alone only sets variables.
        if keep and not (last == "env" and length == 1):
            kept += rest[:length]
        rest = rest[length:]
    return Prefix(tuple(kept), environment, "")


def _wrapper(words: list[str]) -> tuple[int, bool]:
    """How many of the first words are a known program with its options, and whether a workload has them."""
    words = words[:_MOST_WORDS]
    plain = words[: next((at for at, each in enumerate(words) if not re.fullmatch(r"\S+", each)), None)]
    text = " ".join(plain)
    for pattern, keep in _WRAPPERS:
        if found := pattern.match(text):
            return len(found[0].split()), keep
    return 0, False


def _named(word: str) -> str:
    name = word.rpartition("/")[2]
    return f"`{name}`" if _PROGRAM.fullmatch(name) else "a program"
