"""Findings as a comment of a pull request: a list in Markdown, what is waived folded away."""

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
"""Characters of a comment; GitHub takes 65536."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#~&$|]|:(?=//|[A-Za-z+-][\w+-]*:)|(?i:(?<=www))\.)")
_PLACE = re.compile(r"((?<!\S)[^\s`\\|]+\.ya?ml:\d+:\d+)")
"""File, line and column: as code, in which nothing has to be escaped."""
_CODE = re.compile(r"`([^`\\|]+)`")


def markdown(report: Report) -> str:
    """The summary, the findings that count, and the waived ones below a fold."""
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
    """The items that fit into so many characters, and how many more there are."""
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
    """Text that Markdown shows as it is, but for `code`; it calls nobody, links nowhere and opens nothing."""
    parts = _CODE.split(text)
    return "".join(f"`{part}`" if odd % 2 else _with_places(part) for odd, part in enumerate(parts))


def _with_places(text: str) -> str:
    # Beside a stray backtick, another one would end what that begins.
    parts = [text] if "`" in text else _PLACE.split(text)
    return "".join(f"`{part}`" if odd % 2 else _plain(part) for odd, part in enumerate(parts))


def _plain(text: str) -> str:
    # A comment keeps what follows from becoming a mention or the number of an issue.
    return re.sub(r"(@|\\#)", r"\1<!-- -->", _SPECIAL.sub(r"\\\1", text))
