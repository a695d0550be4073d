"""Reads the words of a command with Celery's own parsers, without importing an application."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import click
from celery.apps.multi import MultiParser, NamespacedOptionParser
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker

from policycompiler.reality.commands.invocation import Invocation, Unread
from policycompiler.reality.commands.literal import Left, flag, literal
from policycompiler.reality.commands.prefix import Prefix, prefix_of

_REDIRECTION = "\0redirection"
_HERE = "host.invalid"
"""Stands for the host that `celery multi` would insert."""
_QUIET = frozenset({"app", "no_color", "quiet"})
"""Options of `celery` itself that are carried, or that say nothing about tasks."""
_TELLERS = frozenset({"echo", "printf", "logger"})
"""Programs whose words are texts, never commands."""
_INNER = re.compile(r"\bcelery\b.*\s(worker|beat|multi)\b", re.DOTALL)
_PARSED = {"worker": worker, "beat": beat}
_MONITORS = frozenset({"events", "flower"})


class Command(NamedTuple):
    """A command of Celery as it is started today.

    `kind` is `worker`, `beat`, `flower` or `events`. `app` is the value of `-A`, empty without one. `options`
    have the names of Celery's own parameters and known values. `prefix` are the words before Celery that a
    workload may have. `left` says what else the command has, without values. The rest is as for `Invocation`.
    """

    kind: str
    app: str
    options: Mapping[str, str | bool]
    prefix: tuple[str, ...]
    place: str
    name: str
    environment: Mapping[str, str]
    replicas: int | None
    stop_seconds: float | None
    left: tuple[Left, ...]


def commands_of(found: Invocation) -> Iterator[Command | Unread]:
    """The commands of one invocation: one, or one for each node of `celery multi`."""
    words = list(found.words)
    if _REDIRECTION in words:
        words = words[: words.index(_REDIRECTION)]
    if not words or words[0].rpartition("/")[2] in _TELLERS:
        return
    at = next((at for at, each in enumerate(words) if _is_celery(each) and not _is_argument(words, at)), None)
    if at is None:
        if any(_INNER.search(each) for each in words):
            program = prefix_of(words[:1]).left or "a program"
            yield Unread(found.place, f"the text for {program} has a command of Celery, which is not read")
        return
    prefix = prefix_of(_before(words[:at]))
    environment = {**found.environment, **prefix.environment}
    arguments = [each for each in words[at + 1 :] if each not in ("$@", "${@}", "$*")]
    try:
        yield from _parsed(found._replace(environment=environment), prefix, arguments)
    except click.ClickException as problem:
        yield Unread(found.place, f"`celery` does not accept this command: {problem.format_message()}")
    except (KeyError, ValueError, IndexError):
        yield Unread(found.place, "`celery multi` does not accept this command")


def _is_celery(word: str) -> bool:
    return word.rpartition("/")[2] == "celery"


def _before(words: list[str]) -> list[str]:
    """The words before Celery without `python -m`, which a new command does not need."""
    python = len(words) > 1 and re.fullmatch(r"(?:\S*/)?python[\d.]*", words[-2])
    return words[:-2] if python and words[-1] == "-m" else words


def _is_argument(words: list[str], index: int) -> bool:
    """Whether `celery` is the name of something else here, such as an app or a user."""
    return index > 0 and words[index - 1] in ("-A", "--app", "-u", "-n", "-Q", "--user")


def _parsed(found: Invocation, prefix: Prefix, arguments: list[str]) -> Iterator[Command | Unread]:
    general, rest = _arguments(celery, arguments)
    if not rest:
        return
    kind, given = rest[0], rest[1:]
    general.setdefault("app", found.environment.get("CELERY_APP") or "")
    if kind == "multi":
        yield from _multi(found, prefix, general, given)
    elif kind in _PARSED:
        if misplaced := {"-A", "--app"}.intersection(given):
            yield Unread(found.place, f"`{misplaced.pop()}` stands after `{kind}`; Celery 5 wants it before")
            return
        options, extra = _arguments(_PARSED[kind], given)
        yield _command(found, kind, general, options, prefix)
        if extra:
            yield Unread(found.place, f"`celery {kind}` refuses {len(extra)} of the words")
    elif kind in _MONITORS:
        yield _command(found, kind, general, {}, prefix)


def _multi(
    found: Invocation, prefix: Prefix, outer: Mapping[str, Any], given: list[str]
) -> Iterator[Command | Unread]:
    """The workers of `celery multi start`; nothing is started, and no folder is made."""
    if not given or given[0] not in ("start", "restart", "show"):
        return
    parser = NamespacedOptionParser(given[1:])
    parser.parse()

    class Recorded(NamedTuple):
        name: str
        cmd: str
        append: str
        options: Mapping[str, str | None]
        passthrough: str

    several = MultiParser(suffix=_HERE)
    several.Node = Recorded
    for node in several.parse(parser):
        general, options, unknown = _of_node(node.options)
        yield from (
            Unread(found.place, f"`{each}` of `celery multi` is no option of a worker") for each in unknown
        )
        named = node.name.replace(f"@{_HERE}", "@%h")
        options = {
            key: value for key, value in options.items() if key not in ("detach", "pidfile", "logfile")
        }
        yield _command(
            found._replace(name=node.name.partition("@")[0]),
            "worker",
            {**outer, **general},
            {**options, "hostname": named},
            prefix,
        )


def _of_node(given: Mapping[str, str | None]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The options of `celery` and those of its worker, which a node has together, and unknown ones."""
    general: dict[str, Any] = {}
    options: dict[str, Any] = {}
    unknown: list[str] = []
    for option, value in given.items():
        words = _option_words(option, value)
        # One by one: each parser stops at the first option of the other.
        of_celery, _ = _arguments(celery, words, lenient=True)
        of_worker = {} if of_celery else _arguments(worker, words, lenient=True)[0]
        general.update(of_celery)
        options.update(of_worker)
        if not (of_celery or of_worker):
            unknown.append(option.partition("=")[0] if option.startswith("--") else option[:2])
    return general, options, unknown


def _option_words(option: str, value: str | None) -> list[str]:
    if value is None:
        return [option]
    return [f"{option}={value}"] if option.startswith("--") else [option, value]


def _command(
    found: Invocation, kind: str, general: Mapping[str, Any], options: Mapping[str, Any], prefix: Prefix
) -> Command:
    given = {key: value if isinstance(value, bool) else str(value) for key, value in options.items()}
    known, left = literal(given)
    app, left_of_app = literal({"app": str(general.get("app") or "")})
    left += left_of_app
    left += [
        (flag(each), "the workload language has no form for it") for each in sorted(set(general) - _QUIET)
    ]
    if prefix.left:
        left.append((f"the words before `celery`, from {prefix.left}", "they may have secrets"))
    return Command(
        kind,
        str(app.get("app", "")),
        known,
        prefix.words,
        found.place,
        found.name,
        found.environment,
        found.replicas,
        found.stop_seconds,
        tuple(left),
    )


def _arguments(
    command: click.Command, words: list[str], *, lenient: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The options as Celery's parser reads them, and the words that are none. Raises `click.UsageError`."""
    options, rest, _ = _parser(command, lenient=lenient).parse_args(list(words))
    return {str(key): value for key, value in options.items() if value is not None}, rest


@cache
def _parser(command: click.Command, *, lenient: bool) -> Any:  # noqa: ANN401 - click has no public name for it
    return command.make_parser(click.Context(command, resilient_parsing=lenient))
