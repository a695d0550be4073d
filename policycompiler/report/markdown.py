"""Findings as a pull-request comment: a list in Markdown, with the waived findings folded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from policycompiler.report.located import (
    Located,
    Report,
    answered,
    printable,
    summary,
    waived_summary,
)
from policycompiler.report.text import clean, counted

LONGEST = 60_000
"""Characters of a comment; GitHub's limit is 65536."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#~&$|]|:(?=//|[A-Za-z+-][\w+-]*:)|(?i:(?<=www))\.)")
_PLACE = re.compile(r"((?<!\S)[^\s`\\|]+\.ya?ml:\d+:\d+)")
"""File, line and column, shown as code, where nothing needs escaping."""
_CODE = re.compile(r"`([^`\\|]+)`")


def markdown(report: Report) -> str:
    """The summary, the findings that count, and the waived findings folded."""
    head = f"**policycompiler:** {summary(report)}"
    waived = fitting(list(map(_item, report.waived)), LONGEST // 4, "finding")
    room = LONGEST - len(head) - sum(map(len, waived))
    shown = fitting(list(map(_item, report.findings)), room, "finding")
    blocks = [head, "\n".join(shown)]
    if waived:
        blocks += [
            f"<details>\n<summary>{escape(waived_summary(report))}</summary>",
            "\n".join(waived),
            "</details>",
        ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def fitting(items: Sequence[str], room: int, noun: str) -> list[str]:
    """The items that fit into `room` characters, and the number of the others."""
    shown: list[str] = []
    for number, item in enumerate(items):
        room -= len(item) + 2
        if room < 0:
            return [*shown, f"- and {counted(len(items) - number, f'more {noun}')}"]
        shown.append(item)
    return shown


def _item(finding: Located) -> str:
    diagnostic, place = finding.diagnostic, finding.place
    where = literal(f"{clean(place.file)}:{place.line}:{place.column}: ") if place.file else ""
    verdict = "waived" if diagnostic.waived else diagnostic.severity
    message = literal(printable(diagnostic.told))
    lines = [f"- **{verdict} {diagnostic.code}** {literal(diagnostic.name)}: {where}{message}"]
    if diagnostic.waived:
        lines.append(f"waived {literal(answered(diagnostic.waived))}")
    elif diagnostic.help:
        lines.append(f"help: {literal(printable(diagnostic.help))}")
    # A backslash at the end of a line breaks it.
    return "\\\n  ".join(lines)


def literal(text: str) -> str:
    """Text that Markdown shows unchanged except `code`; it mentions nobody and links nowhere."""
    parts = _CODE.split(text)
    return "".join(f"`{part}`" if odd % 2 else _with_places(part) for odd, part in enumerate(parts))


def _with_places(text: str) -> str:
    # A stray backtick would pair with a new one.
    parts = [text] if "`" in text else _PLACE.split(text)
    return "".join(f"`{part}`" if odd % 2 else _plain(part) for odd, part in enumerate(parts))


def _plain(text: str) -> str:
    # The comment keeps the next word from becoming a mention or an issue number.
    return re.sub(r"(@|\\#)", r"\1<!-- -->", _SPECIAL.sub(r"\\\1", text))
