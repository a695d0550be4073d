"""Source lines with a gutter and carets under the words that a finding is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from policycompiler.diagnostics import Place
from policycompiler.report.colors import Style, painted
from policycompiler.report.text import cells, clean, width

WIDEST_LINE = 120
LEAD = 40
"""Columns shown before the word when a line is wider than `WIDEST_LINE` and has to be cut."""

_QUOTED = r'"(?:\\.|[^"\\])*"?|\'(?:\'\'|[^\'])*\'?|[\[{]'
_BLOCK_WORD = re.compile(rf"{_QUOTED}|\S.*?(?=,?\s*$|:\s|:$|\s+\#)")
_FLOW_WORD = re.compile(rf"{_QUOTED}|\S.*?(?=\s*[,\]}}]|\s*$|:\s|:$|\s+\#)")


class Label(NamedTuple):
    """A few words about a place."""

    place: Place
    note: str


class _Marked(NamedTuple):
    place: Place
    sign: str
    note: str


def excerpt(
    place: Place,
    labels: Sequence[Label],
    remarks: Sequence[str],
    sources: Mapping[str, Sequence[str]],
    style: Style | None = None,
) -> list[str]:
    """The lines below a finding's headline: the source lines of the finding and its labels, and remarks.

    A label at the place itself is written behind the caret. `sources` holds lines by file name;
    places in other files are named only. The remarks are printable. `style` is that of the carets, and None
    where there is no color.
    """
    own = next((label for label in labels if label.place == place), None)
    marks = [_Marked(place, "^", own.note if own else "")]
    marks += [_Marked(label.place, "-", label.note) for label in labels if label is not own]
    files = list(dict.fromkeys(mark.place.file for mark in marks))
    shown = [mark.place.line for mark in marks if _has_line(sources, mark.place)]
    gutter = _Gutter(len(str(max(shown, default=0))), style)
    lines = []
    for file in files:
        here = sorted((mark for mark in marks if mark.place.file == file), key=lambda mark: mark.place)
        if file != place.file:
            where = f"{clean(file)}:{here[0].place.line}:{here[0].place.column}"
            lines.append(f"{gutter.other_file} {painted(where, Style.PATH, color=style is not None)}")
        elif _has_line(sources, place):
            lines.append(gutter.bar)
        for line, marks_of_line in groupby(here, key=lambda mark: mark.place.line):
            if _has_line(sources, Place(file, line, 1)):
                lines += _line(sources[file][line - 1], list(marks_of_line), gutter)
            else:
                lines += [f"{gutter.remark} {clean(mark.note)}" for mark in marks_of_line if mark.note]
    return [*lines, *(f"{gutter.remark} {remark}" for remark in remarks)]


def _has_line(sources: Mapping[str, Sequence[str]], place: Place) -> bool:
    return place.line <= len(sources.get(place.file, ()))


class _Gutter:
    """The left margin: line numbers and the bar, all of one width; and the signs below the words."""

    def __init__(self, digits: int, style: Style | None) -> None:
        self._digits = digits
        self._style = style
        self.bar = self._dim(" " * digits + " |")
        self.other_file = self._dim(" " * digits + ":::")
        self.remark = self._dim(" " * digits + " =")

    def numbered(self, line: int) -> str:
        return self._dim(f"{line:>{self._digits}} |")

    def sign(self, sign: str, note: str) -> str:
        """A caret with its note in the style of the finding; a label's in the calm one."""
        style = self._style if self._style and sign.startswith("^") else Style.CALM
        return painted(f"{sign}{note}", style, color=self._style is not None)

    def _dim(self, text: str) -> str:
        return painted(text, Style.CALM, color=self._style is not None)


def _line(source: str, marks: Sequence[_Marked], gutter: _Gutter) -> list[str]:
    """A source line and a line for each of its marks; a long line is shown again for a mark further along."""
    lines: list[str] = []
    printed = None
    for mark in marks:
        text, offset, length = _window(source, mark.place.column - 1)
        if text != printed:
            lines.append(f"{gutter.numbered(mark.place.line)} {text}".rstrip())
            printed = text
        note = f" {clean(mark.note)}" if mark.note else ""
        lines.append(f"{gutter.bar} {' ' * offset}{gutter.sign(mark.sign * length, note)}")
    return lines


# Findings come in the order of lines, and generated workloads have very long lines.
_cells = lru_cache(maxsize=4)(cells)


def _window(source: str, index: int) -> tuple[str, int, int]:
    """What to print of a line, and offset and width in columns of the word at a character index."""
    printed = _cells(source)
    index = min(index, len(printed))
    start, end = 0, len(printed)
    if end > WIDEST_LINE or width("".join(printed)) > WIDEST_LINE:
        start = end = index
        room = WIDEST_LINE
        while start > 0 and room > WIDEST_LINE - LEAD:
            start -= 1
            room -= width(printed[start])
        while end < len(printed) and room > 0:
            room -= width(printed[end])
            end += 1
    before = ("…" if start else "") + "".join(printed[start:index])
    word_end = min(index + word_length(source, index), end)
    word = "".join(printed[index:word_end])
    after = "".join(printed[word_end:end]) + ("…" if end < len(printed) else "")
    return before + word + after, width(before), max(width(word), 1)


def word_length(source: str, index: int) -> int:
    """How many characters the YAML word at an index has on its line; of a flow collection its bracket."""
    opened = sum(source.count(sign, 0, index) for sign in "[{")
    closed = sum(source.count(sign, 0, index) for sign in "]}")
    pattern = _FLOW_WORD if opened > closed else _BLOCK_WORD
    found = pattern.match(source[index : index + WIDEST_LINE])
    return len(found[0]) if found else 1
