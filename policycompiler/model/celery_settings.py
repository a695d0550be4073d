"""Which settings Celery knows and of what type, asked of the installed package.

Importing this module imports Celery.
"""

from __future__ import annotations

import types
from functools import cache

from celery.app.defaults import NAMESPACES, flatten
from pydantic import JsonValue

_READ_BUT_NOT_LISTED = {
    "dynamodb_endpoint_url": "string",
    "gcs_threadpool_maxsize": "int",
    "redis_backend_credential_provider": "any",
    "redis_backend_health_check_interval": "int",
    "redis_client_name": "string",
    "result_backend_thread_safe": "bool",
}
"""Celery 5.7 reads these without listing them among its defaults."""

_DECLARED_WRONG = {
    "broker_use_ssl": "any",
    "cassandra_port": "int",
    "redis_backend_use_ssl": "any",
    "task_default_delivery_mode": "any",
    "task_default_priority": "int",
    "task_default_rate_limit": "any",
}
"""Celery's own list says text, true or a mapping; what reads these takes numbers, or true and a mapping."""

_OTHERS = ("redbeat_",)
"""Beginnings of settings that well-known schedulers read from the same place."""

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


_NUMBERS = frozenset({"int", "float"})
_NULL_BY_DEFAULT = frozenset(key for key, option in flatten(NAMESPACES) if option.default is None)


@cache
def known_settings() -> dict[str, str]:
    """Setting names with Celery's own word for their type; `any` where every value is taken."""
    listed = {key: _type_name(option.type) for key, option in flatten(NAMESPACES)}
    return listed | _READ_BUT_NOT_LISTED | _DECLARED_WRONG


def is_known(setting: str) -> bool:
    """Whether Celery, or a scheduler that we know of, reads the setting."""
    return setting in known_settings() or setting.startswith(_OTHERS)


def _type_name(declared: object) -> str:
    """Celery names most types by a word, some by a class, and a few not at all."""
    name = declared.__name__ if isinstance(declared, type) else str(declared or "any")
    return "string" if name == "str" else name


def has_type(setting: str, value: JsonValue) -> bool:
    """Whether Celery understands the value. null is no limit where there is a number, else a default."""
    kind = known_settings().get(setting, "any")
    if value is None:
        return kind in {*_NUMBERS, "any"} or setting in _NULL_BY_DEFAULT or setting in _READ_BUT_NOT_LISTED
    if isinstance(value, bool):
        return kind in {"bool", "any"}
    return isinstance(value, _TYPES.get(kind, object))


def expected_type(setting: str) -> str:
    """In words, what Celery expects."""
    return _EXPECTED.get(known_settings()[setting], "any value")
