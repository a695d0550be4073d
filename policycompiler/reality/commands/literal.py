"""Values of options that are known before a shell runs; texts about the others never have a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Options: TypeAlias = dict[str, str | bool]
Left: TypeAlias = tuple[str, str]
"""What is left out, and why."""

NOT_KNOWN = "its value is not known before the command runs"
_DEFAULT = re.compile(r"\$\{(\w+):-([^{}]*)\}")
_VARIABLE = re.compile(r"\$\{[A-Za-z_]\w*\}")
_MADE_LATER = re.compile(r"[$`\0]|\{\}")
_MAY_BE_A_VARIABLE = frozenset({"concurrency"})
"""Options for which a workload may name a variable."""


def literal(options: Mapping[str, str | bool]) -> tuple[Options, list[Left]]:
    """The options with known values, a variable as its default, and what was left out or assumed."""
    known: Options = {}
    left: list[Left] = []
    for option, given in options.items():
        if isinstance(given, bool):
            known[option] = given
            continue
        value = _DEFAULT.sub(lambda found: found[2], given)
        if not _MADE_LATER.search(value) or (option in _MAY_BE_A_VARIABLE and _VARIABLE.fullmatch(value)):
            known[option] = value
            if value != given:
                names = ", ".join(f"`${{{found[1]}}}`" for found in _DEFAULT.finditer(given))
                left.append((flag(option), f"{names} is not known; the workload has its default"))
        else:
            left.append((flag(option), NOT_KNOWN))
    return known, left


def flag(option: str) -> str:
    """An option as a command has it."""
    return f"`--{option.replace('_', '-')}`"
