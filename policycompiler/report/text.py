"""Text that is safe to print: no secrets, no control characters, aligned columns.

Workloads, file names and messages quote text of other people; all of it passes through here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from policycompiler.diagnostics import SECRET_WORDS

MASK = "***"
LONGEST_MESSAGE = 1000
GAP = "  "
# Up to the last `@` of the word: an unescaped `/` or `@` in a password must not uncover the rest of it.
# A double-quoted YAML text may write `/` as `\/`.
_CREDENTIALS = re.compile(r"(:\\?/\\?/)(?:(?!:\\?/\\?/)\S)+@")

# The scalar of a key that names a secret, in YAML or in the output of `explain`.
_SECRET_VALUE = re.compile(
    rf"""(?ix) (?:^|[\s{{,"'_?&;-]) (?:{SECRET_WORDS})
    (?: ["']? \s* : \s+ | \s* = \s* ) (?P<value> [^\s{{\[,}}\#] [^,}}]* )"""
)


def masked(text: str) -> str:
    """The text with secrets replaced: the user and password of a URL, the value of a key such as `token`."""
    for start, end in reversed(_secrets(text)):
        text = f"{text[:start]}{MASK}{text[end:]}"
    return text


def _secrets(text: str) -> list[tuple[int, int]]:
    """Where secrets begin and end, in order, without overlap."""
    spans = [(found.end(1), found.end() - 1) for found in _CREDENTIALS.finditer(text)] if "@" in text else []
    spans += [found.span("value") for found in _SECRET_VALUE.finditer(text)]
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def visible(text: str) -> str:
    r"""The text with every control or invisible character escaped: `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def clean(text: str) -> str:
    """The text as one line that may be printed."""
    return visible(masked(text))


def cells(line: str, *, tab: str = "    ") -> list[str]:
    """The printed form of each character of a source line; a masked password is one cell, then empty ones."""
    printed = [tab if char == "\t" else visible(char) for char in line]
    for start, end in _secrets(line):
        printed[start:end] = [MASK] + [""] * (end - start - 1)
    return printed


def width(text: str) -> int:
    """How many terminal columns printable text takes: two for wide East Asian characters and emoji."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def clipped(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis. Mask it first: a cut URL is no longer recognized."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def sentence(text: str) -> str:
    """The text of a finding, which quotes the input: passwords masked, length limited."""
    return clipped(masked(text), LONGEST_MESSAGE)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 task`, `38 tasks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """The rows as lines, cells made printable and each column as wide as its widest cell."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*cleaned, strict=True)]
    return [
        GAP.join(
            cell + " " * (fitted - width(cell)) for cell, fitted in zip(row, widths, strict=True)
        ).rstrip()
        for row in cleaned
    ]
