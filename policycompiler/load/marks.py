"""Places of values: a tree of offsets next to the plain data, with lines and columns on request."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Place, SpecPath

Data: TypeAlias = "bool | int | float | str | list[Data] | dict[str, Data] | None"
Mapped: TypeAlias = dict[str, Data]

# The line ends of libyaml.
_OTHER_BREAK = re.compile("[\r\x85\u2028\u2029]")
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Source:
    """One file's name and text."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    def place(self, offset: int) -> Place:
        """The line and column of an offset, which counts characters from 0."""
        line = bisect_right(self._line_starts, offset)
        return Place(self.name, line, offset - self._line_starts[line - 1] + 1)


def lines_of(text: str) -> list[str]:
    """The lines of a source, counted like its places, without line ends."""
    # Nearly every text has plain line ends only, which are ten times faster to split.
    return _LINE_BREAK.split(text) if _OTHER_BREAK.search(text) else text.split("\n")


class Mark(NamedTuple):
    """The offsets of a value and its key in their source, and the marks of its children.

    A value without a key (a list item, the whole file) uses its own place. An alias has its own place; its
    children have their places at the anchor.
    """

    source: Source
    start: int
    key_start: int
    children: Mapping[str | int, Mark]

    @property
    def place(self) -> Place:
        """The place of the value."""
        return self.source.place(self.start)

    @property
    def key_place(self) -> Place:
        """The place of the key."""
        return self.source.place(self.key_start)


def place_in(mark: Mark, path: SpecPath, *, key: bool = False) -> Place:
    """The place of a path below a mark, or of its nearest parent."""
    for part in path:
        child = mark.children.get(part)
        if child is None:
            return mark.place
        mark = child
    return mark.key_place if key else mark.place
