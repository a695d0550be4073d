"""Which settings Celery knows and of what type, asked of the installed package.

Importing this module imports Celery.
"""

from __future__ import annotations

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

_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "list": "a list",
    "tuple": "a list",
}


@cache
def known_settings() -> dict[str, str]:
    """Setting names with Celery's own word for their type; `any` where every value is taken."""
    listed = {key: _type_name(option.type) for key, option in flatten(NAMESPACES)}
    return listed | _READ_BUT_NOT_LISTED


def _type_name(declared: object) -> str:
    """Celery names most types by a word, some by a class, and a few not at all."""
    name = declared.__name__ if isinstance(declared, type) else str(declared or "any")
    return "string" if name == "str" else name


def has_type(setting: str, value: JsonValue) -> bool:
    """Whether Celery understands the value. null means Celery's own default everywhere."""
    if value is None:
        return True
    match known_settings()[setting]:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "dict":
            return isinstance(value, dict)
        case "list" | "tuple":
            return isinstance(value, list)
        case _:
            return True


def expected_type(setting: str) -> str:
    """In words, what Celery expects."""
    return _EXPECTED.get(known_settings()[setting], "any value")
