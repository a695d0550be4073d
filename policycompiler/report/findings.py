"""Findings as text for people, as one line each, or as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Place, Severity, SpecPath
from policycompiler.load import Document, lines_of
from policycompiler.plan import Plan
from policycompiler.report.excerpt import Label, excerpt
from policycompiler.report.text import clean, counted, sentence, visible

FORMAT = 1

OutputFormat: TypeAlias = Literal["full", "concise", "json"]

FORMATS: tuple[OutputFormat, ...] = ("full", "concise", "json")
"""What `render` can make, the default first."""

_COLORS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}


class LocatedRelated(NamedTuple):
    """A related place with its position."""

    place: Place
    note: str
    path: SpecPath


class Located(NamedTuple):
    """A diagnostic with its position and those of the places it relates to."""

    diagnostic: Diagnostic
    place: Place
    related: tuple[LocatedRelated, ...]


def located(diagnostics: Iterable[Diagnostic], document: Document) -> list[Located]:
    """The diagnostics with their positions, sorted by them; of equal ones at one place the first."""
    found: dict[tuple[str, Place, str], Located] = {}
    for diagnostic in diagnostics:
        place = diagnostic.place or document.place(diagnostic.path, key=diagnostic.at_key)
        related = tuple(
            LocatedRelated(other.place or document.place(other.path), other.note, other.path)
            for other in diagnostic.related
        )
        key = (diagnostic.code, place, diagnostic.message)
        found.setdefault(key, Located(diagnostic, place, related))
    return sorted(found.values(), key=_order)


def _order(finding: Located) -> tuple[Place, int, str, str]:
    diagnostic = finding.diagnostic
    return finding.place, diagnostic.severity.rank, diagnostic.code, diagnostic.message


def render(
    diagnostics: Iterable[Diagnostic],
    document: Document,
    output_format: OutputFormat,
    *,
    color: bool = False,
    plan: Plan | None = None,
) -> str:
    """The findings and a summary, ending with a newline.

    `plan` is counted for the summary; without one, what the document holds. `color` adds ANSI
    sequences to the text formats; nothing in the sources can add any.
    """
    findings = located(diagnostics, document)
    if output_format == "json":
        return _json(findings, document, plan)
    if output_format == "concise":
        blocks = [_headline(finding, color=color) for finding in findings]
        return "\n".join([*blocks, _summary(findings, document, plan)]) + "\n"
    files = {place.file for finding in findings for place in (finding.place, *_places(finding))}
    sources = {file: lines_of(document.texts[file]) for file in files if file in document.texts}
    blocks = [_full(finding, sources, color=color) for finding in findings]
    return "\n\n".join([*blocks, _summary(findings, document, plan)]) + "\n"


def _places(finding: Located) -> list[Place]:
    return [other.place for other in finding.related]


def _full(finding: Located, sources: Mapping[str, Sequence[str]], *, color: bool) -> str:
    labels = [Label(other.place, other.note) for other in finding.related]
    lines = excerpt(finding.place, labels, finding.diagnostic.help, sources, color=color)
    return "\n".join([_headline(finding, color=color), *lines])


def _headline(finding: Located, *, color: bool) -> str:
    diagnostic, place = finding.diagnostic, finding.place
    verdict = f"{diagnostic.severity}[{diagnostic.code}]"
    if color:
        verdict = f"\x1b[{_COLORS[diagnostic.severity]}m{verdict}\x1b[0m"
    where = f"{clean(place.file)}:{place.line}:{place.column}: " if place.file else ""
    return f"{where}{verdict} {diagnostic.name}: {visible(sentence(diagnostic.message))}"


def _summary(findings: Sequence[Located], document: Document, plan: Plan | None) -> str:
    files, tasks = _file_count(findings, document), _task_count(document, plan)
    severities = Counter(finding.diagnostic.severity for finding in findings)
    if severities:
        found = ", ".join(counted(severities[each], each) for each in Severity if severities[each])
        return f"{found} in {counted(files, 'file')}, {counted(tasks, 'task')}"
    if plan is None:
        return f"{counted(files, 'file')}, {counted(tasks, 'task')}: nothing to report"
    kinds = ("task", "queue", "worker", "schedule")
    return ", ".join(counted(len(plan.scopes(kind)), kind) for kind in kinds) + ": nothing to report"


def _file_count(findings: Sequence[Located], document: Document) -> int:
    # A file that could not be read has a finding and no text.
    return len({*document.texts, *(finding.place.file for finding in findings if finding.place.file)})


def _task_count(document: Document, plan: Plan | None) -> int:
    if plan is not None:
        return len(plan.scopes("task"))
    tasks = document.data.get("tasks")
    return len(tasks) if isinstance(tasks, dict) else 0


def _json(findings: Sequence[Located], document: Document, plan: Plan | None) -> str:
    severities = Counter(finding.diagnostic.severity for finding in findings)
    report = {
        "format": FORMAT,
        "findings": [_finding_data(finding) for finding in findings],
        "summary": {
            "errors": severities[Severity.ERROR],
            "warnings": severities[Severity.WARNING],
            "infos": severities[Severity.INFO],
            "files": _file_count(findings, document),
            "tasks": _task_count(document, plan),
        },
    }
    # ASCII, so that no control or bidirectional character reaches a terminal.
    return json.dumps(report, indent=2) + "\n"


def _finding_data(finding: Located) -> dict[str, object]:
    diagnostic = finding.diagnostic
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": diagnostic.severity,
        "message": sentence(diagnostic.message),
        "path": _path_data(diagnostic.path),
        **place_data(finding.place),
        "help": sentence(diagnostic.help),
        "related": [
            {"note": sentence(other.note), "path": _path_data(other.path), **place_data(other.place)}
            for other in finding.related
        ],
    }


def _path_data(path: SpecPath) -> list[str | int]:
    return [sentence(part) if isinstance(part, str) else part for part in path]


def place_data(place: Place) -> dict[str, str | int | None]:
    """A position for JSON; all null when the finding is about no file."""
    if not place.file:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}
