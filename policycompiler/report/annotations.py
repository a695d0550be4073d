"""Findings as annotations on the changed lines: GitHub Actions workflow commands, GitLab code quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from policycompiler.diagnostics import Severity
from policycompiler.report.located import Located, Report, fingerprints, printable, summary
from policycompiler.report.text import clean

_COMMANDS: Mapping[Severity, str] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "notice",
}
_GITLAB_SEVERITIES: Mapping[Severity, str] = {
    Severity.ERROR: "critical",
    Severity.WARNING: "major",
    Severity.INFO: "info",
}
_NO_FILE = "."
"""The path of a finding without a file, because GitLab requires one."""


def github(report: Report) -> str:
    """A workflow command for each finding that counts, and the summary as a log line."""
    return "\n".join([*map(_command, report.findings), summary(report)]) + "\n"


def _command(finding: Located) -> str:
    diagnostic, place = finding.diagnostic, finding.place
    where = {"file": clean(place.file), "line": place.line, "col": place.column} if place.file else {}
    properties = {**where, "title": f"{diagnostic.code} {diagnostic.name}"}
    told = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {told}::{_data(told_with_help(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def told_with_help(finding: Located) -> str:
    """The message and, on a line of its own, the help."""
    diagnostic = finding.diagnostic
    lines = [printable(diagnostic.told)]
    if diagnostic.help:
        lines.append(f"help: {printable(diagnostic.help)}")
    return "\n".join(lines)


def gitlab(report: Report) -> str:
    """A code quality report of the findings that count."""
    marks = fingerprints(report.findings)
    issues = [_issue(finding, mark) for finding, mark in zip(report.findings, marks, strict=True)]
    return json.dumps(issues, indent=2) + "\n"


def _issue(finding: Located, mark: str) -> dict[str, object]:
    diagnostic, place = finding.diagnostic, finding.place
    path = place.file or _NO_FILE
    return {
        "description": f"{diagnostic.code} {diagnostic.name}: {told_with_help(finding)}",
        "check_name": diagnostic.name,
        # One report may cover several apps with the same paths.
        "fingerprint": sha256(f"{path} {mark}".encode(errors="backslashreplace")).hexdigest()[:32],
        "severity": _GITLAB_SEVERITIES[diagnostic.severity],
        "location": {"path": path, "lines": {"begin": place.line}},
    }
