"""Findings as SARIF 2.1.0, for code scanning.

The standard: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from policycompiler.diagnostics import Diagnostic, Place, Severity
from policycompiler.load import lines_of
from policycompiler.report.annotations import told_with_help
from policycompiler.report.excerpt import word_length
from policycompiler.report.located import (
    Located,
    Report,
    answered,
    fingerprints,
    more_command,
    printable,
    rule_id,
)

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "findingAndPath/v1"
_LEVELS: Mapping[Severity, str] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}


def sarif(report: Report) -> str:
    """One run of the compiler: its rules are the codes found, and waived findings are suppressed."""
    found = [*report.findings, *report.waived]
    rules = {rule_id(each.diagnostic): each.diagnostic for each in found}
    places = _Places(report)
    results = [
        _result(finding, mark, sorted(rules).index(rule_id(finding.diagnostic)), places)
        for finding, mark in zip(found, fingerprints(found), strict=True)
    ]
    if report.waived:
        # When one result has suppressions, the standard requires the key in all.
        results = [{"suppressions": [], **result} for result in results]
    driver = {
        "name": "policycompiler",
        "version": report.program.version,
        "rules": [_rule(rules[name], report) for name in sorted(rules)],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(diagnostic: Diagnostic, report: Report) -> dict[str, object]:
    more = more_command(diagnostic)
    words = diagnostic.name.replace("-", " ")
    advice = report.program.advice(diagnostic.code)
    help_text = "\n".join(filter(None, [advice, more and f"More: {more}"]))
    return {
        "id": rule_id(diagnostic),
        "name": diagnostic.name,
        "shortDescription": {"text": words},
        "fullDescription": {"text": f"{words}: {advice}" if advice else words},
        "help": {"text": help_text or words},
        "defaultConfiguration": {"level": _LEVELS[diagnostic.finding.severity]},
    }


def _result(finding: Located, mark: str, rule: int, places: _Places) -> dict[str, object]:
    diagnostic = finding.diagnostic
    result: dict[str, object] = {
        "ruleId": rule_id(diagnostic),
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": _message(told_with_help(finding)),
        "partialFingerprints": {FINGERPRINT: mark},
    }
    if finding.place.file:
        result["locations"] = [{"physicalLocation": places.physical(finding.place)}]
    related = [
        {
            "id": number,
            "message": _message(printable(other.note)),
            "physicalLocation": places.physical(other.place),
        }
        for number, other in enumerate(finding.related, 1)
        if other.place.file
    ]
    if related:
        result["relatedLocations"] = related
    if diagnostic.waived:
        answer = answered(diagnostic.waived)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": answer}]
    return result


def _message(text: str) -> dict[str, str]:
    """A plain message, with link syntax escaped."""
    return {"text": text.replace("[", r"\[").replace("]", r"\]") if "](" in text else text}


class _Places:
    """Positions in the sources, each up to the end of its word."""

    def __init__(self, report: Report) -> None:
        self._texts = report.document.texts
        self._lines: dict[str, list[str]] = {}

    def physical(self, place: Place) -> dict[str, object]:
        region = {"startLine": place.line, "startColumn": place.column}
        line = self._line(place)
        if line:
            region["endColumn"] = place.column + word_length(line, place.column - 1)
        return {"artifactLocation": _artifact(place.file), "region": region}

    def _line(self, place: Place) -> str:
        if place.file not in self._lines:
            self._lines[place.file] = list(lines_of(self._texts.get(place.file, "")))
        lines = self._lines[place.file]
        return lines[place.line - 1] if place.line <= len(lines) else ""


def _artifact(file: str) -> dict[str, str]:
    """A path relative to the current folder, unless the user gave an absolute one."""
    path = quote(file.encode("utf-8", "surrogateescape"))
    if path.startswith("/"):
        return {"uri": f"file://{path}"}
    return {"uri": path, "uriBaseId": "%SRCROOT%"}
