"""The settings of the plan of today that commands show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

from policycompiler.plan import APP, BEAT, Scope, Setting, Value
from policycompiler.reality.commands.celery_words import Command
from policycompiler.reality.commands.literal import NOT_KNOWN, flag
from policycompiler.reality.observed import observed

COMMAND = "command"
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NUMBERS = re.compile(r"[0-9]{1,9}")

_seen = partial(observed, source=COMMAND)


class Unsayable(NamedTuple):
    """A part of a command that a workload does not say, and why."""

    place: str
    what: str
    why: str


def _number(text: str) -> float:
    found = float(text)
    if not isfinite(found):
        raise ValueError
    return int(found) if found.is_integer() else found


_FLAGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "pool": ("pool", str),
    "prefetch_multiplier": ("prefetch_multiplier", int),
    "disable_prefetch": ("disable_prefetch", bool),
    "max_tasks_per_child": ("max_tasks_per_child", int),
    "max_memory_per_child": ("max_memory_per_child", int),
    "without_gossip": ("without_gossip", bool),
    "without_mingle": ("without_mingle", bool),
    "without_heartbeat": ("without_heartbeat", bool),
    "heartbeat_interval": ("heartbeat_interval", int),
    "time_limit": ("time_limit", _number),
    "soft_time_limit": ("soft_time_limit", _number),
    "statedb": ("statedb", str),
    "optimization": ("optimization", str),
    "task_events": ("task_events", bool),
    "loglevel": ("log_level", str.upper),
    "hostname": ("node_name", str),
}
"""Options of `celery worker` with the keys of the plan, and how their text becomes a value."""
_OF_BEAT: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "scheduler": ("scheduler", str),
}
"""Options of `celery beat`, which a worker with `-B` has too."""
_OF_BEATS_APP: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "max_interval": ("beat_max_loop_interval", _number)
}
"""Options of `celery beat` that are settings of the app, too."""
_OF_THE_MANAGER = frozenset(
    {"detach", "executable", "gid", "logfile", "pidfile", "schedule", "schedule_filename", "uid", "umask"}
)
"""Options that belong to the process manager, and say nothing about tasks."""
_QUEUES_UNKNOWN = "the queues of this worker are not known; it is assumed to consume all known queues"


class Workers(NamedTuple):
    """The settings of commands, and what they say that a workload cannot."""

    settings: tuple[Setting, ...]
    unsayable: tuple[Unsayable, ...]


def workers_of(commands: Iterable[Command], all_queues: Iterable[str]) -> Workers:
    """The settings of workers and of beat. A worker without `-Q` consumes `all_queues`."""
    settings: list[Setting] = []
    unsayable: list[Unsayable] = []
    taken: dict[str, int] = {}
    everything = sorted(all_queues)
    for command in commands:
        if command.kind == "worker":
            scope = Scope("worker", _free_name(command, taken))
            settings += _worker(scope, command, everything)
        elif command.kind == "beat":
            scope = BEAT
            settings += _options(BEAT, command, _OF_BEAT)
            settings += _options(APP, command, _OF_BEATS_APP)
        else:
            unsayable.append(Unsayable(command.place, f"`celery {command.kind}`", "a monitor stays as it is"))
            continue
        unsayable += _left(command, everything)
    return Workers(tuple(settings), tuple(unsayable))


def _free_name(command: Command, taken: dict[str, int]) -> str:
    """A name for a worker: that of its process, of its node, or of its queues; numbered if it is taken."""
    node = str(command.options.get("hostname") or "")
    queues = str(command.options.get("queues") or "")
    wanted = command.name or node.partition("@")[0] or queues.partition(",")[0] or "worker"
    plain = _NOT_A_NAME.sub("-", wanted).strip("-.") or "worker"
    name, number = plain, taken.get(plain, 1)
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    taken[plain] = number
    taken.setdefault(name, 1)
    return name


def _worker(scope: Scope, command: Command, all_queues: list[str]) -> Iterator[Setting]:
    place, options = command.place, command.options
    left_out = _names(options.get("exclude_queues"))
    queues: list[Value] = [*_names(options.get("queues"))] or [
        each for each in all_queues if each not in left_out
    ]
    yield _seen(scope, "queues", queues, place=place)
    if command.app:
        yield _seen(scope, "app", command.app, place=place)
    yield from _options(scope, command, _FLAGS)
    yield from _slots(scope, command)
    if options.get("beat"):
        yield _seen(scope, "beat", value=True, place=place)
        yield from _options(BEAT, command, _OF_BEAT)
    if command.replicas is not None:
        yield _seen(scope, "replicas", command.replicas, place=place)
    if command.stop_seconds is not None:
        yield _seen(scope, "stop_timeout_seconds", command.stop_seconds, place=place)
    if command.prefix:
        yield _seen(scope, "command_prefix", list(command.prefix), place=place)


def _names(text: object) -> list[str]:
    return [each.strip() for each in str(text or "").split(",") if each.strip()]


def _options(
    scope: Scope, command: Command, known: Mapping[str, tuple[str, Callable[[str], Any]]]
) -> Iterator[Setting]:
    for option, (key, value_of) in known.items():
        given = command.options.get(option)
        if given is None:
            continue
        try:
            value = given if isinstance(given, bool) else value_of(given)
        except ValueError:
            continue
        yield _seen(scope, key, value, place=command.place)


def _slots(scope: Scope, command: Command) -> Iterator[Setting]:
    """The slots: bounds, a number, or a variable, as `${NAME}`; without a flag the app decides."""
    bounds, slots = command.options.get("autoscale"), str(command.options.get("concurrency", ""))
    if bounds:
        numbers = sorted(int(each) for each in _names(bounds) if _NUMBERS.fullmatch(each))
        if numbers:
            low = numbers[0] if len(numbers) > 1 else 0
            yield _seen(scope, "autoscale", {"min": low, "max": numbers[-1]}, place=command.place)
    elif slots.startswith("$"):
        yield _seen(scope, "concurrency", slots, place=command.place)
    elif _NUMBERS.fullmatch(slots):
        yield _seen(scope, "concurrency", int(slots), place=command.place)


def _left(command: Command, all_queues: list[str]) -> Iterator[Unsayable]:
    """What a command says that has no form in a workload; never with a value."""
    own = (
        {*_OF_BEAT, *_OF_BEATS_APP}
        if command.kind == "beat"
        else {*_FLAGS, "queues", "exclude_queues", "concurrency", "autoscale", "beat", *_OF_BEAT}
    )
    for option in sorted(set(command.options) - own - _OF_THE_MANAGER):
        yield Unsayable(command.place, flag(option), "the workload language has no form for it")
    for option in sorted(own.intersection(command.options)):
        given = command.options[option]
        if isinstance(given, str) and not _is_readable(option, given):
            yield Unsayable(command.place, flag(option), "its value is none that Celery takes")
    for what, why in command.left:
        unknown = why == NOT_KNOWN and what in (flag("queues"), flag("exclude_queues"))
        yield Unsayable(
            command.place, what, f"{_QUEUES_UNKNOWN}: {', '.join(all_queues)}" if unknown else why
        )
    if command.environment:
        names = ", ".join(f"`{each}`" for each in sorted(command.environment))
        yield Unsayable(command.place, f"environment variables {names}", "set them for the new processes too")


def _is_readable(option: str, given: str) -> bool:
    """Whether the text of an option is a value."""
    if option in ("concurrency", "autoscale"):
        return given.startswith("$") or all(_NUMBERS.fullmatch(each) for each in _names(given) or ("",))
    known = {**_FLAGS, **_OF_BEAT, **_OF_BEATS_APP}.get(option)
    try:
        return known is None or known[1](given) is not None
    except ValueError:
        return False
