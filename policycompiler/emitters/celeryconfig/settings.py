"""Settings of the app: the URLs, and groups of what goes together, each with its policy and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.python import python_literal
from policycompiler.plan import APP, Setting

_URLS = ("broker_url", "result_backend")
_GROUPS = (
    ("Broker", ("broker_",)),
    ("Delivery: safe for a task nobody declared; declared tasks have their own below", ("task_",)),
    ("Results", ("result_",)),
    ("Messages", ("accept_", "event_", "control_")),
    ("Workers", ("worker_",)),
    ("Everything else", ("",)),
)
_NOT_CELERYS = frozenset(
    {
        "app",
        "broker_transport",
        "broker_url",
        "broker_url_variable",
        "broker_version",
        "celery_version",
        "environment_file",
        "executable",
        "longest_hold_seconds",
        "namespace",
        "owner",
        "result_backend",
        "result_backend_variable",
        "service",
        "state_directory",
        "user",
        "visibility_timeout_seconds",
        "working_directory",
    }
)
_LINE = 100


class Line(NamedTuple):
    """`name = value  # comment`; the value is Python, the comment one line of text or empty."""

    name: Raw
    value: Raw
    comment: Raw


class Group(NamedTuple):
    """Lines below a title."""

    title: Raw
    lines: list[Line]


def name(key: str, prefix: str) -> Raw:
    """A setting as the module names it: `task_queues`, or `CELERY_TASK_QUEUES` with a prefix."""
    return Raw(f"{prefix}_{key}".upper() if prefix else key)


def url_variables(reading: Reading) -> list[str]:
    """The environment variables that URLs are read from."""
    variables = (reading.get(APP, f"{key}_variable") for key in _URLS)
    return [variable for variable in variables if isinstance(variable, str)]


def url_lines(reading: Reading, prefix: str) -> Iterator[Line]:
    """Each URL, from its environment variable or as it is."""
    for key in _URLS:
        variable, literal = reading.get(APP, f"{key}_variable"), reading.get(APP, key)
        if isinstance(variable, str):
            yield Line(name(key, prefix), Raw(f"environ[{python_literal(variable)}]"), Raw())
        elif literal is not None:
            yield Line(name(key, prefix), Raw(python_literal(literal)), Raw())


def groups(reading: Reading, prefix: str) -> Iterator[Group]:
    """All other settings of Celery's."""
    rest = set(reading.keys(APP)) - _NOT_CELERYS
    for title, beginnings in _GROUPS:
        mine = sorted(key for key in rest if key.startswith(beginnings))
        rest.difference_update(mine)
        if mine:
            lines = [_line(reading.setting(APP, key), prefix) for key in mine]
            yield Group(Raw(f"{title} {'-' * (_LINE - len(title) - 3)}"), lines)


def _line(setting: Setting, prefix: str) -> Line:
    value = python_literal(setting.value)
    if isinstance(setting.value, dict) and setting.value:
        items = (
            f"    {python_literal(key)}: {python_literal(item)},"
            for key, item in sorted(setting.value.items())
        )
        value = "{\n" + "\n".join(items) + "\n}"
    return Line(name(setting.key, prefix), Raw(value), Raw(f"{setting.policy}: {setting.because}"))
