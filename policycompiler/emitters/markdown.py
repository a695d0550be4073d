"""Text of a plan in Markdown: nothing in it is markup."""

from __future__ import annotations

import re

from policycompiler.emitters.base import Raw, one_line

_MARKUP = re.compile(r"([\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])|^[#+-]|:(?=//)|(?i:(?<=www))\.)")
"""Characters that Markdown would interpret inside a line; the hyphen of `shop-team` is none."""


def markdown_text(value: object) -> str:
    """Text that Markdown shows unchanged; raises on anything but text on one line."""
    return _MARKUP.sub(r"\\\1", one_line(value))


def code(name: str) -> Raw:
    """A name as a code span; a name with a backtick or a pipe, which would end it, as text."""
    return Raw(markdown_text(name) if {"`", "|"} & set(name) else f"`{one_line(name)}`")


def joined(names: list[str], nothing: str = "") -> Raw:
    """Names as code spans with commas between them."""
    return Raw(", ".join(map(code, names)) or nothing)
