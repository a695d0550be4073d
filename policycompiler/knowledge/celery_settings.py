"""What each version of Celery takes: settings, task options, flags, transport options, and their types.

The answers come from `celery_versions.json`, which `make celery-versions` reads from the packages themselves;
neither Celery nor kombu is imported. A version older or newer than those known is answered for as the oldest
or newest of them.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from pydantic import JsonValue

Facts: TypeAlias = Mapping[str, JsonValue]
Names: TypeAlias = Mapping[str, Facts]

SECTIONS = {
    "beat_schedule": "schedules:",
    "beat_scheduler": "beat.scheduler",
    "broker_transport": "broker.transport",
    "broker_transport_options": "broker.options",
    "broker_url": "broker.url",
    "result_backend": "results.url",
    "task_annotations": "tasks.NAME.options",
    "task_queues": "queues:",
    "task_routes": "tasks.NAME.queue",
}
"""Settings that a part of the workload decides, and which."""

_DECLARED_WRONG = {
    "broker_use_ssl": "any",
    "cassandra_port": "int",
    "redis_backend_use_ssl": "any",
    "task_default_delivery_mode": "any",
    "task_default_priority": "int",
    "task_default_rate_limit": "any",
    "worker_concurrency": "int",
}
"""Celery's own list says text, true or a mapping; what reads these takes numbers, or true and a mapping. Of
slots it says anything, and counts the cores itself for `auto`; here limits and memory need a number."""

_OTHERS = ("redbeat_", "singleton_", "beat_dburi", "beat_engine_options", "beat_schema")
"""Beginnings of settings that well-known schedulers and task classes read from the same place."""

_DOCUMENTED_RESULT_OPTIONS = frozenset({"visibility_timeout"})
"""Celery's manual says to set these for results too, though no backend reads them."""

_TYPES: dict[str, type | types.UnionType] = {
    "string": str,
    "int": int,
    "float": int | float,
    "bool": bool,
    "dict": dict,
    "list": list,
    "tuple": list,
}
_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "list": "a list",
    "tuple": "a list",
}
LOG_LEVELS = frozenset({"CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "NOTSET", "WARN", "WARNING"})
"""The names of log levels that Celery takes, in any case (celery.utils.log.LOG_LEVELS)."""

_NUMBERS = frozenset({"int", "float"})


@cache
def _data() -> dict[str, dict[str, list[dict[str, JsonValue]]]]:
    text = Path(__file__).with_name("celery_versions.json").read_text("utf-8")
    data: dict[str, dict[str, list[dict[str, JsonValue]]]] = json.loads(text)
    return data


def known_versions() -> list[str]:
    """The versions that there are answers for, the oldest first; `.ci/celery_versions.py` names them."""
    return [str(version) for version in _data()["versions"]]


OLDEST_CELERY, *_, NEWEST_CELERY = known_versions()
"""The oldest Celery that the policies are right about, and the newest, which an unnamed one is taken for."""


def number_of(version: str) -> tuple[int, ...]:
    """Major and minor number, `5.7.1` as (5, 7)."""
    return tuple(int(part) for part in version.split(".")[:2])


@cache
def nearest(version: str) -> str:
    """The version that answers for another: the newest that is not newer, else the oldest."""
    known = known_versions()
    not_newer = [each for each in known if number_of(each) <= number_of(version)]
    return not_newer[-1] if not_newer else known[0]


@cache
def known(section: str, version: str = NEWEST_CELERY) -> Names:
    """What a section holds in a version: names with their facts.

    Sections are `settings`, `task_options`, `flags:worker`, `flags:beat`, `nested:NAME`, and `transport:NAME`
    and `results:NAME`, which are what transport options may say; one that is not known is empty.
    """
    at = number_of(nearest(version))
    found = {}
    for name, spans in _data().get(section, {}).items():
        for span in spans:
            first, last = str(span.get("since", OLDEST_CELERY)), str(span.get("until", NEWEST_CELERY))
            if number_of(first) <= at <= number_of(last):
                found[name] = span
    return MappingProxyType(found)


@cache
def versions_of(section: str, name: str) -> tuple[str, ...]:
    """The versions that have a name; none for one that no version has."""
    return tuple(version for version in known_versions() if name in known(section, version))


def known_settings() -> dict[str, str]:
    """Setting names with Celery's own word for their type; `any` where every value is taken."""
    return {name: _type(name) for name in known("settings")}


def is_setting(name: str) -> bool:
    """Whether some version of Celery, or an extension that we know of, reads the setting."""
    return name in _data()["settings"] or name.startswith(_OTHERS)


def has_type(setting: str, value: JsonValue) -> bool:
    """Whether Celery understands the value. null is no limit where there is a number, else a default."""
    kind = _type(setting)
    if value is None:
        return kind in {*_NUMBERS, "any"} or _facts(setting).get("default") is None
    if isinstance(value, bool):
        return kind in {"bool", "any"}
    return isinstance(value, _TYPES.get(kind, object))


def expected_type(setting: str) -> str:
    """In words, what Celery expects."""
    return _EXPECTED.get(_type(setting), "any value")


@cache
def new_names() -> Mapping[str, str]:
    """What settings were called before Celery 4, in capitals as it was then, with their names of today."""
    found = {}
    for name, facts in known("settings").items():
        old = facts.get("old", [name])
        assert isinstance(old, list)
        found.update({str(each).upper(): name for each in old})
    return MappingProxyType(found)


def result_options(backend: str, version: str) -> frozenset[str]:
    """What `result_backend_transport_options` may say for a backend; nothing where it reads none."""
    names = known(f"results:{backend}", version)
    return frozenset(names) | _DOCUMENTED_RESULT_OPTIONS if names else frozenset()


def default_of(setting: str) -> JsonValue:
    """What holds where nobody says anything; null also where that is not known."""
    return _facts(setting).get("default")


def _facts(setting: str) -> Facts:
    """Of the last version that has it; types stay as they are."""
    return _data()["settings"].get(setting, [{}])[-1]


def _type(setting: str) -> str:
    return _DECLARED_WRONG.get(setting, str(_facts(setting).get("type", "any")))
