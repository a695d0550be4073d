"""Reads the words of a command with Celery's own parsers, without importing an application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click
from celery.apps.multi import MultiParser, NamespacedOptionParser
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker

from policycompiler.reality.commands.invocation import Invocation, Unread

_REDIRECTION = "\0redirection"
_HERE = "host.invalid"
"""Stands for the host that `celery multi` would insert."""
_RUNNERS = frozenset({"exec", "env", "dumb-init", "tini", "--", "-g", "su-exec", "gosu", "nohup", "time"})
_PARSED = {"worker": worker, "beat": beat}
_MONITORS = frozenset({"events", "flower"})


class Command(NamedTuple):
    """A command of Celery as it is started today.

    `kind` is `worker`, `beat`, `flower` or `events`. `app` is the value of `-A`, empty without one. `options`
    have the names of Celery's own parameters. `prefix` are the words before Celery that matter. The rest is
    as for `Invocation`.
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


def commands_of(found: Invocation) -> Iterator[Command | Unread]:
    """The commands of one invocation: one, or one for each node of `celery multi`."""
    words = list(found.words)
    if _REDIRECTION in words:
        words = words[: words.index(_REDIRECTION)]
    prefix, arguments = _split(words)
    if arguments is None:
        return
    try:
        yield from _parsed(found, prefix, [each for each in arguments if each not in ("$@", "${@}", "$*")])
    except click.ClickException as problem:
        yield Unread(found.place, f"`celery` does not accept this command: {problem.format_message()}")
    except (KeyError, ValueError) as problem:
        yield Unread(found.place, f"`celery multi` does not accept this command: {problem}")


def _split(words: list[str]) -> tuple[tuple[str, ...], list[str] | None]:
    """The words before Celery, and its arguments; None if Celery is not called."""
    for index, word in enumerate(words):
        if word.rpartition("/")[2] == "celery" and not _is_argument(words, index):
            before = words[:index]
            if before[-1:] == ["-m"]:
                before = before[:-2]
            return tuple(each for each in before if each.rpartition("/")[2] not in _RUNNERS), words[
                index + 1 :
            ]
    return (), None


def _is_argument(words: list[str], index: int) -> bool:
    """Whether `celery` is the name of something else here, such as an app or a user."""
    return index > 0 and words[index - 1] in ("-A", "--app", "-u", "-n", "-Q", "--user")


def _parsed(found: Invocation, prefix: tuple[str, ...], arguments: list[str]) -> Iterator[Command | Unread]:
    general, rest = _arguments(celery, arguments)
    if not rest:
        return
    kind, given = rest[0], rest[1:]
    app = str(general.get("app") or found.environment.get("CELERY_APP") or "")
    if kind == "multi":
        yield from _multi(found, prefix, app, given)
    elif kind in _PARSED:
        if misplaced := {"-A", "--app"}.intersection(given):
            yield Unread(found.place, f"`{misplaced.pop()}` stands after `{kind}`; Celery 5 wants it before")
            return
        options, extra = _arguments(_PARSED[kind], given)
        yield _command(found, kind, app, options, prefix)
        if extra:
            yield Unread(found.place, f"words that `celery {kind}` refuses: {' '.join(extra)}")
    elif kind in _MONITORS:
        yield _command(found, kind, app, {}, prefix)


def _multi(
    found: Invocation, prefix: tuple[str, ...], app: str, given: list[str]
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
        words = [word for option, value in node.options.items() for word in _option_words(option, value)]
        # Each node has the options of `celery` and of its worker together.
        general, _ = _arguments(celery, words, lenient=True)
        options, _ = _arguments(worker, words, lenient=True)
        named = node.name.replace(f"@{_HERE}", "@%h")
        options = {
            key: value for key, value in options.items() if key not in ("detach", "pidfile", "logfile")
        }
        yield _command(
            found._replace(name=node.name.partition("@")[0]),
            "worker",
            str(general.get("app") or app),
            {**options, "hostname": named},
            prefix,
        )


def _option_words(option: str, value: str | None) -> list[str]:
    if value is None:
        return [option]
    return [f"{option}={value}"] if option.startswith("--") else [option, value]


def _command(
    found: Invocation, kind: str, app: str, options: Mapping[str, Any], prefix: tuple[str, ...]
) -> Command:
    return Command(
        kind,
        app,
        {key: value if isinstance(value, bool) else str(value) for key, value in options.items()},
        prefix,
        found.place,
        found.name,
        found.environment,
        found.replicas,
        found.stop_seconds,
    )


def _arguments(
    command: click.Command, words: list[str], *, lenient: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The options as Celery's parser reads them, and the words that are none. Raises `click.UsageError`."""
    parser = command.make_parser(click.Context(command, resilient_parsing=lenient))
    options, rest, _ = parser.parse_args(list(words))
    return {str(key): value for key, value in options.items() if value is not None}, rest
