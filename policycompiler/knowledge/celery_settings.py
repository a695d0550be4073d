"""The settings, task options, flags and transport options of each version of Celery, with their types.

The data are in `celery_versions.json`, which `make celery-versions` makes from the packages. This module
imports neither Celery nor kombu. For an older or newer version it uses the oldest or newest known version.
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
"""Settings that a part of the workload decides, and that part."""

_DECLARED_WRONG = {
    "broker_use_ssl": "any",
    "cassandra_port": "int",
    "redis_backend_use_ssl": "any",
    "task_default_delivery_mode": "any",
    "task_default_priority": "int",
    "task_default_rate_limit": "any",
    "worker_concurrency": "int",
}
"""Types that differ from Celery's list.

The list has text, true or a mapping, but the code accepts numbers, or true and a mapping. For slots the list
accepts any value, and Celery counts the cores for `auto`. Here limits and memory need a number.
"""

_OTHERS = ("redbeat_", "singleton_", "beat_dburi", "beat_engine_options", "beat_schema")
"""Prefixes of settings that well-known schedulers and task classes read from the same configuration."""

_DOCUMENTED_RESULT_OPTIONS = frozenset({"visibility_timeout"})
"""Celery's manual recommends these for results too, although no backend reads them."""

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
    """The known versions, the oldest first; `.ci/celery_versions.py` lists them."""
    return [str(version) for version in _data()["versions"]]


OLDEST_CELERY, *_, NEWEST_CELERY = known_versions()
"""The oldest Celery that the policies support, and the newest, which is the default."""


def number_of(version: str) -> tuple[int, ...]:
    """Major and minor number, `5.7.1` as (5, 7)."""
    return tuple(int(part) for part in version.split(".")[:2])


@cache
def nearest(version: str) -> str:
    """The known version to use for another: the newest that is not newer, else the oldest."""
    known = known_versions()
    not_newer = [each for each in known if number_of(each) <= number_of(version)]
    return not_newer[-1] if not_newer else known[0]


@cache
def known(section: str, version: str = NEWEST_CELERY) -> Names:
    """The names of a section in a version, with their facts.

    Sections are `settings`, `task_options`, `flags:worker`, `flags:beat`, `nested:NAME`, and for transport
    options `transport:NAME` and `results:NAME`. An unknown section is empty.
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
    """Setting names with Celery's word for their type; `any` if every value is accepted."""
    return {name: _type(name) for name in known("settings")}


def is_setting(name: str) -> bool:
    """Whether some version of Celery or a known extension reads the setting."""
    return name in _data()["settings"] or name.startswith(_OTHERS)


def has_type(setting: str, value: JsonValue) -> bool:
    """Whether Celery accepts the value. For a number null means no limit, else the default."""
    kind = _type(setting)
    if value is None:
        return kind in {*_NUMBERS, "any"} or _facts(setting).get("default") is None
    if isinstance(value, bool):
        return kind in {"bool", "any"}
    return isinstance(value, _TYPES.get(kind, object))


def expected_type(setting: str) -> str:
    """The type that Celery expects, in words."""
    return _EXPECTED.get(_type(setting), "any value")


@cache
def new_names() -> Mapping[str, str]:
    """The names of settings before Celery 4, in capitals, with their current names."""
    found = {}
    for name, facts in known("settings").items():
        old = facts.get("old", [name])
        assert isinstance(old, list)
        found.update({str(each).upper(): name for each in old})
    return MappingProxyType(found)


def result_options(backend: str, version: str) -> frozenset[str]:
    """The options in `result_backend_transport_options` for a backend; empty if it reads none."""
    names = known(f"results:{backend}", version)
    return frozenset(names) | _DOCUMENTED_RESULT_OPTIONS if names else frozenset()


def default_of(setting: str) -> JsonValue:
    """The default of a setting; null also if it is not known."""
    return _facts(setting).get("default")


def _facts(setting: str) -> Facts:
    """The facts in the last version that has the setting; types do not change between versions."""
    return _data()["settings"].get(setting, [{}])[-1]


def _type(setting: str) -> str:
    return _DECLARED_WRONG.get(setting, str(_facts(setting).get("type", "any")))
