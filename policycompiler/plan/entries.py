"""Which entry below `tasks:` declares a task: its own, or the most specific pattern that matches."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase


def pattern_order(pattern: str) -> tuple[int, str]:
    """Sort key of patterns: the most fixed characters first, however the YAML orders them."""
    return -len(pattern.replace("*", "")), pattern


def patterns_among(names: Iterable[str]) -> list[str]:
    """The patterns among entries, the most specific first."""
    return sorted((name for name in names if "*" in name), key=pattern_order)


def first_match(task: str, patterns: Iterable[str]) -> str | None:
    """The first of sorted patterns that matches a task; None where none does."""
    return next((pattern for pattern in patterns if fnmatchcase(task, pattern)), None)


def entry_of(task: str, declared: Collection[str]) -> str | None:
    """The entry that declares a task; None where nothing does."""
    return task if task in declared else first_match(task, patterns_among(declared))
