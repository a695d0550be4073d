"""A problem of a file."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """What a checker says about a file; `line` is 1 where it names none."""

    file: str
    line: int
    text: str
