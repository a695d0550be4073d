"""Plans of earlier versions, converted to the keys of this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policycompiler.plan import Scope, Setting

_ARGUMENTS, _TYPE = "arguments", "x-queue-type"
_FORMER = ("task", "longest_delay_seconds")
"""A key that no current version reads."""


def in_words_of_today(settings: dict[Scope, dict[str, Setting]]) -> dict[Scope, dict[str, Setting]]:
    """The settings with today's keys: format 1 may have all arguments of a queue in one mapping."""
    return {scope: _keys(scope, keys) for scope, keys in settings.items()}


def _keys(scope: Scope, keys: dict[str, Setting]) -> dict[str, Setting]:
    kept = {key: setting for key, setting in keys.items() if (scope.kind, key) != _FORMER}
    together = kept.get(_ARGUMENTS) if scope.kind == "queue" else None
    if together is None or not isinstance(together.value, dict):
        return kept
    del kept[_ARGUMENTS]
    named = {f"{_ARGUMENTS}.{name}": value for name, value in together.value.items()}
    named["type"] = str(together.value.get(_TYPE, "classic"))
    return {key: together._replace(key=key, value=value) for key, value in named.items()} | kept
