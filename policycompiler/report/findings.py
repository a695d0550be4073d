"""Findings for people, for machines, and for the places where people review changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Literal, TypeAlias, cast

from policycompiler import interrupts
from policycompiler.diagnostics import Diagnostic, Place, Severity, SpecPath
from policycompiler.load import Document, lines_of
from policycompiler.plan import Plan
from policycompiler.report.colors import Style, painted
from policycompiler.report.excerpt import Label, excerpt
from policycompiler.report.located import (
    Located,
    Program,
    Report,
    answered,
    file_count,
    located,
    more_command,
    place_data,
    printable,
    severity_counts,
    summary,
    task_count,
)
from policycompiler.report.text import clean, sentence

__all__ = ["DOCUMENT_FORMATS", "FORMATS", "OutputFormat", "located", "render"]

FORMAT = 1

OutputFormat: TypeAlias = Literal["full", "concise", "json", "github", "gitlab", "sarif", "junit", "markdown"]

FORMATS: tuple[OutputFormat, ...] = (
    *("full", "concise", "json"),
    *("github", "gitlab", "sarif", "junit", "markdown"),
)
"""The formats of `render`, the default first."""

DOCUMENT_FORMATS = frozenset({"json", "gitlab", "sarif", "junit"})
"""Formats that are one document for a machine: printed without findings too, and alone."""

UNKNOWN = Program("0", lambda _: "")

_STYLES = {Severity.ERROR: Style.ERROR, Severity.WARNING: Style.WARNING, Severity.INFO: Style.NOTE}


def render(
    diagnostics: Iterable[Diagnostic],
    document: Document,
    output_format: OutputFormat,
    *,
    color: bool = False,
    plan: Plan | None = None,
    hidden: int = 0,
    fail_on: Severity = Severity.ERROR,
    program: Program = UNKNOWN,
) -> str:
    """The findings and a summary, ending with a newline.

    The summary counts the parts of `plan`; without a plan, those of the document. `color` adds ANSI sequences
    to the text formats; nothing in the sources can add any. `hidden` is the number of findings that a
    baseline hides. `fail_on` is the lowest severity that fails the command.
    """
    found = located(diagnostics, document)
    open_ = [finding for finding in found if finding.diagnostic.waived is None]
    waived = [finding for finding in found if finding.diagnostic.waived is not None]
    report = Report(open_, waived, document, plan, hidden, fail_on, program)
    if output_format == "full":
        return _full(report, color=color)
    if output_format == "concise":
        return _concise(report, color=color)
    return _in_format(output_format)(report)


def _concise(report: Report, *, color: bool) -> str:
    lines = [_headline(finding, color=color) for finding in report.findings]
    for finding in report.waived:
        assert finding.diagnostic.waived is not None
        lines.append(f"{_headline(finding, color=color)} ({answered(finding.diagnostic.waived)})")
    return "\n".join([*lines, *_closing(report)]) + "\n"


def _full(report: Report, *, color: bool) -> str:
    files = {place.file for found in report.findings for place in (found.place, *_places(found))}
    texts = report.document.texts
    sources = {file: lines_of(texts[file]) for file in files if file in texts}
    told: set[str] = set()
    blocks = []
    for finding in report.findings:
        diagnostic = finding.diagnostic
        remarks = [_remark("help", printable(diagnostic.help), color=color)] if diagnostic.help else []
        # The command is printed once for each code.
        if diagnostic.code not in told and (command := more_command(diagnostic)):
            remarks.append(_remark("more", painted(command, Style.COMMAND, color=color), color=color))
        told.add(diagnostic.code)
        blocks.append(_block(finding, remarks, sources, color=color))
    blocks += [_waived_block(finding, color=color) for finding in report.waived]
    return "\n\n".join([*blocks, "\n".join(_closing(report))]) + "\n"


def _remark(label: str, text: str, *, color: bool) -> str:
    return f"{painted(label, Style.HEADING, color=color)}: {text}"


def _places(finding: Located) -> list[Place]:
    return [other.place for other in finding.related]


def _block(
    finding: Located, remarks: Sequence[str], sources: Mapping[str, Sequence[str]], *, color: bool
) -> str:
    labels = [Label(other.place, other.note) for other in finding.related]
    style = _STYLES[finding.diagnostic.severity]
    lines = excerpt(finding.place, labels, remarks, sources, style if color else None)
    return "\n".join([_headline(finding, color=color), *lines])


def _waived_block(finding: Located, *, color: bool) -> str:
    """A waived finding: the headline, and the waiver; no source lines, because nobody has to act."""
    assert finding.diagnostic.waived is not None
    answer = f"  = waived {answered(finding.diagnostic.waived)}"
    return f"{_headline(finding, color=color)}\n{answer}"


def _headline(finding: Located, *, color: bool) -> str:
    diagnostic, place = finding.diagnostic, finding.place
    waived = diagnostic.waived is not None
    style = Style.CALM if waived else _STYLES[diagnostic.severity]
    verdict = painted(f"{'waived' if waived else diagnostic.severity}[{diagnostic.code}]", style, color=color)
    where = f"{clean(place.file)}:{place.line}:{place.column}" if place.file else ""
    at = f"{painted(where, Style.PATH, color=color)}: " if where else ""
    name = painted(diagnostic.name, Style.HEADING, color=color)
    return f"{at}{verdict} {name}: {printable(diagnostic.told)}"


def _closing(report: Report) -> list[str]:
    fixable = any(finding.diagnostic.fix and not finding.diagnostic.waived for finding in report.findings)
    fix = ["run `policycompiler check --fix` to apply the safe fixes"] if fixable else []
    return [summary(report), *fix]


def _json(report: Report) -> str:
    severities = severity_counts(report)
    found = sorted([*report.findings, *report.waived], key=lambda each: each.place)
    data = {
        "format": FORMAT,
        "findings": [_finding_data(finding) for finding in found],
        "summary": {
            "errors": severities[Severity.ERROR],
            "warnings": severities[Severity.WARNING],
            "infos": severities[Severity.INFO],
            "waived": len(report.waived),
            "hidden_by_baseline": report.hidden,
            "files": file_count(report),
            "tasks": task_count(report),
        },
    }
    # ASCII, so that no control or bidirectional character reaches a terminal.
    return json.dumps(data, indent=2) + "\n"


def _finding_data(finding: Located) -> dict[str, object]:
    diagnostic, waived = finding.diagnostic, finding.diagnostic.waived
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": diagnostic.severity,
        "message": sentence(diagnostic.told),
        "path": _path_data(diagnostic.path),
        **place_data(finding.place),
        "help": sentence(diagnostic.help),
        "fixable": bool(diagnostic.fix),
        "related": [
            {"note": sentence(other.note), "path": _path_data(other.path), **place_data(other.place)}
            for other in finding.related
        ],
        "waived": waived and {key: sentence(text) for key, text in waived._asdict().items()},
    }


def _path_data(path: SpecPath) -> list[str | int]:
    return [sentence(part) if isinstance(part, str) else part for part in path]


_MODULES = {
    "github": "annotations",
    "gitlab": "annotations",
    "sarif": "sarif",
    "junit": "junit",
    "markdown": "markdown",
}
"""Formats with a module of their own, which is imported on use; its function has the name of the format."""


def _in_format(output_format: OutputFormat) -> Callable[[Report], str]:
    if output_format == "json":
        return _json
    name = f"policycompiler.report.{_MODULES[output_format]}"
    module = interrupts.importing(lambda: import_module(name))
    return cast("Callable[[Report], str]", getattr(module, output_format))
