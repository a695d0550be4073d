"""Words that the findings about reality share."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.diagnostics import Diagnostic, Finding, Place

_MOST_TOLD = 5


def at_place(finding: Finding, place: str, message: str, help_text: str) -> Diagnostic:
    """A finding at a place of a look: a line of code, `shop/tasks.py:12`, or the name of what was seen."""
    file, _, line = place.partition(" ")[0].rpartition(":")
    where = Place(file, int(line), 1) if line.isdigit() and file else Place(place, 1, 1)
    return finding.at((), message, help=help_text, place=where)


def listed(names: Iterable[str]) -> str:
    """The first names of several, and the number of the others."""
    several = list(names)
    more = f" and {len(several) - _MOST_TOLD} more" if len(several) > _MOST_TOLD else ""
    return ", ".join(f"`{name}`" for name in several[:_MOST_TOLD]) + more
