"""The names that an expression may use, by subject and type of value."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from policycompiler.plan import vocabulary
from policycompiler.plan.vocabulary import Type


class Kind(StrEnum):
    """The type of a value in an expression."""

    TEXT = "text"
    FLAG = "flag"
    LIST = "list"
    MAPPING = "mapping"
    NUMBER = "number"


SUBJECTS = ("task", "queue", "worker", "schedule", "app")
"""The subjects of an expression."""
NAME = "name"
"""A key of each subject except the app, besides the keys in the plan."""

_KINDS = {
    Type.TEXT: Kind.TEXT,
    Type.VARIABLE: Kind.TEXT,
    Type.FLAG: Kind.FLAG,
    Type.TEXTS: Kind.LIST,
    Type.LIST: Kind.LIST,
    Type.MAPPING: Kind.MAPPING,
    Type.NUMBER: Kind.NUMBER,
    Type.COUNT: Kind.NUMBER,
}
"""A key of any other type has no name."""


@cache
def names(subject: str) -> dict[str, Kind]:
    """The names of a subject, such as `task.critical`, each with the type of its value."""
    found = {} if subject == "app" else {f"{subject}.{NAME}": Kind.TEXT}
    keys = [key for key in vocabulary.declared(subject) if not key.is_prefix and key.type in _KINDS]
    found |= {f"{subject}.{key.name}": _KINDS[key.type] for key in keys}
    return found | {f"{subject}.{prefix}": Kind.MAPPING for prefix in mappings(subject)}


@cache
def mappings(subject: str) -> tuple[str, ...]:
    """Names of groups of settings that have no names of their own."""
    keys = list(vocabulary.declared(subject))
    return tuple(
        key.name.removesuffix(".")
        for key in keys
        if key.is_prefix and not any(each is not key and each.name.startswith(key.name) for each in keys)
    )


def listed() -> list[tuple[str, str, str]]:
    """For the manual page: a subject, a type, and the names of this type."""
    return [
        (subject, str(kind), ", ".join(found))
        for subject in SUBJECTS
        for kind in Kind
        if (found := [name for name, each in names(subject).items() if each is kind])
    ]
