"""Settings of the app: the URLs, and groups of related settings, each with its policy and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.python import WIDTH, assignment, python_literal
from policycompiler.knowledge.clients import KEEPALIVE_NAMES
from policycompiler.plan import APP, Setting, Value, vocabulary

_URLS = ("broker_url", "result_backend")
_GROUPS = (
    ("Broker", ("broker_",)),
    ("Delivery: safe defaults for undeclared tasks; declared tasks have their own below", ("task_",)),
    ("Results", ("result_",)),
    ("Messages", ("accept_", "event_", "control_")),
    ("Workers", ("worker_",)),
    ("Everything else", ("",)),
)
_LINE = 88
_KEEPALIVE = "socket_keepalive_options"
"""Its keys are numbers, which are constants of Python's `socket`."""


class Line(NamedTuple):
    """`name = value`, and a comment of one line of text or none."""

    assignment: Raw
    comment: Raw


class Group(NamedTuple):
    """Lines below a title."""

    title: Raw
    lines: list[Line]


def name(key: str, prefix: str) -> Raw:
    """A setting as the module names it: `task_queues`, or `CELERY_TASK_QUEUES` with a prefix."""
    return Raw(f"{prefix}_{key}".upper() if prefix else key)


def url_variables(reading: Reading) -> Raw:
    """The list of the environment variables with URLs; empty text if there are none."""
    variables = [reading.get(APP, f"{key}_variable") for key in _URLS]
    found = [variable for variable in variables if isinstance(variable, str)]
    return Raw(assignment("_variables", found) if found else "")


def url_lines(reading: Reading, prefix: str) -> Iterator[Raw]:
    """Each URL, from its environment variable or as text."""
    for key in _URLS:
        variable, literal = reading.get(APP, f"{key}_variable"), reading.get(APP, key)
        if isinstance(variable, str):
            yield _from_environment(name(key, prefix), variable)
        elif literal is not None:
            yield Raw(assignment(name(key, prefix), literal))


def _from_environment(setting: str, variable: str) -> Raw:
    line, quoted = f"{setting} = getenv({python_literal(variable)})", python_literal(variable)
    return Raw(line if len(line) <= WIDTH else f"{setting} = getenv(\n    {quoted}\n)")


def groups(reading: Reading, prefix: str) -> Iterator[Group]:
    """All other settings that Celery's configuration may read."""
    rest = {key for key in reading.keys(APP) if _is_emitted(key)}
    for title, beginnings in _GROUPS:
        mine = sorted(key for key in rest if key.startswith(beginnings))
        rest.difference_update(mine)
        if mine:
            lines = [_line(reading.setting(APP, key), prefix) for key in mine]
            yield Group(Raw(f"{title} {'-' * (_LINE - len(title) - 3)}"), lines)


def _is_emitted(name: str) -> bool:
    key = vocabulary.find(APP.kind, name)
    return key is not None and key.celerys and key.name not in _URLS


def _line(setting: Setting, prefix: str) -> Line:
    text = assignment(name(setting.key, prefix), _with_constants(setting.value))
    return Line(Raw(text), Raw(f"{setting.policy}: {setting.because}"))


def needs_socket(reading: Reading) -> bool:
    """Whether a setting names constants of `socket`."""
    options = reading.get(APP, "broker_transport_options")
    keepalive = options.get(_KEEPALIVE) if isinstance(options, dict) else None
    return isinstance(keepalive, dict) and any(_constant_of(key) for key in keepalive)


def _with_constants(value: Value) -> object:
    """The socket options by number; a name becomes a constant."""
    keepalive = value.get(_KEEPALIVE) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(keepalive, dict):
        return value
    return {**value, _KEEPALIVE: {_constant(key): item for key, item in keepalive.items()}}


def _constant(key: str) -> str:
    if name_ := _constant_of(key):
        return Raw(f"socket.{name_}")
    return Raw(key) if key.isdecimal() else key


def _constant_of(key: str) -> str | None:
    """The constant of a socket option that is written as its name, or as its number on Linux."""
    return next((each for each, number in KEEPALIVE_NAMES.items() if key in (each, str(number))), None)
