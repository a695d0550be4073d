"""The colors of a terminal, by what they mark; nothing is said by a color alone."""

from __future__ import annotations

import re
from enum import StrEnum

_CHANGE = re.compile(r"(`[^`]*`) → (`[^`]*`)")


class Style(StrEnum):
    """What a part of a text is, with its ANSI codes."""

    ERROR = "1;31"
    WARNING = "1;33"
    NOTE = "1;36"
    SAFE = "1;32"
    CALM = "2"
    """What can be skipped: waived findings, margins, labels."""
    HEADING = "1"
    PATH = "36"
    """A file with line and column."""
    COMMAND = "35"
    OLD = "31"
    NEW = "32"


def painted(text: str, style: Style, *, color: bool) -> str:
    """The text in a style where there is color."""
    return f"\x1b[{style}m{text}\x1b[0m" if color and text else text


def change_painted(text: str, *, color: bool) -> str:
    """A text with each value before → after in the styles of old and new."""
    if not color:
        return text
    return _CHANGE.sub(
        lambda found: (
            f"{painted(found[1], Style.OLD, color=True)} → {painted(found[2], Style.NEW, color=True)}"
        ),
        text,
    )
