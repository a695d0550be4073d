"""Findings with their positions, and the summary that every format prints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Finding, Place, Severity, SpecPath, Waived
from policycompiler.load import Document
from policycompiler.model.policy_file import CUSTOM_CODE
from policycompiler.plan import Plan
from policycompiler.report.overview import for_undeclared
from policycompiler.report.text import counted, sentence, visible


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


class Program(NamedTuple):
    """The version of the program, and its advice on a finding by code; empty without a page."""

    version: str
    advice: Callable[[str], str]


class Report(NamedTuple):
    """The data that a format prints.

    `findings` count; `waived` findings neither count nor fail. `hidden` is the number of findings that a
    baseline hides. `fail_on` is the lowest severity that fails the command.
    """

    findings: Sequence[Located]
    waived: Sequence[Located]
    document: Document
    plan: Plan | None
    hidden: int
    fail_on: Severity
    program: Program


def located(diagnostics: Iterable[Diagnostic], document: Document) -> list[Located]:
    """The diagnostics with their positions, sorted by them, without duplicates at one place.

    Of two equal diagnostics, the one that is not waived stays.
    """
    found: dict[tuple[Finding, Place, str], Located] = {}
    for diagnostic in sorted(diagnostics, key=lambda each: each.waived is not None):
        place = diagnostic.place or document.place(diagnostic.path, key=diagnostic.at_key)
        related = tuple(
            LocatedRelated(other.place or document.place(other.path), other.note, other.path)
            for other in diagnostic.related
        )
        key = (diagnostic.finding, place, diagnostic.message)
        found.setdefault(key, Located(diagnostic, place, related))
    return sorted(found.values(), key=_order)


def _order(finding: Located) -> tuple[Place, int, str, str, str, str]:
    diagnostic = finding.diagnostic
    return (
        finding.place,
        diagnostic.severity.rank,
        diagnostic.code,
        diagnostic.message,
        diagnostic.name,
        _path_text(diagnostic.path),
    )


def fingerprints(findings: Iterable[Located]) -> list[str]:
    """Marks that tell findings apart and stay when the text around them moves: finding and path, no line.

    Several findings at one path have different marks.
    """
    seen: Counter[str] = Counter()
    found = []
    for finding in findings:
        diagnostic = finding.diagnostic
        own = f"{diagnostic.code} {diagnostic.name} {_path_text(diagnostic.path)}"
        seen[own] += 1
        found.append(sha256(f"{own} {seen[own]}".encode()).hexdigest()[:32])
    return found


def _path_text(path: SpecPath) -> str:
    return json.dumps(path)


def rule_id(diagnostic: Diagnostic) -> str:
    """The code, or the name of a custom finding, because custom findings share one code."""
    return diagnostic.name if diagnostic.code == CUSTOM_CODE else diagnostic.code


def more_command(diagnostic: Diagnostic) -> str:
    """The command that prints the manual page of a finding; empty for a custom finding."""
    return "" if diagnostic.code == CUSTOM_CODE else f"policycompiler finding {diagnostic.code}"


def printable(text: str) -> str:
    """Text for people: without passwords, control characters, and of limited length."""
    return visible(sentence(text))


def answered(waived: Waived) -> str:
    """The owner, expiry and reason of a waiver."""
    return printable(f"by {waived.owner} until {waived.expires}: {waived.reason}")


def summary(report: Report) -> str:
    """All findings in one line."""
    undeclared = for_undeclared(report.plan) if report.plan and not report.findings else ""
    aside = "; ".join(filter(None, [waived_summary(report), _hidden_summary(report), undeclared]))
    return f"{verdict(report)} ({aside})" if aside else verdict(report)


def verdict(report: Report) -> str:
    """The number of findings that count, in one line."""
    files, tasks = counted(file_count(report), "file"), counted(task_count(report), "task")
    severities = severity_counts(report)
    if severities:
        found = ", ".join(counted(severities[each], each) for each in Severity if severities[each])
        # With a wrong policy file, no task was checked.
        misruled = report.document.policy is not None and not _workload_texts(report)
        return f"{found} in {files}" if misruled else f"{found} in {files}, {tasks}"
    if report.plan is None:
        return f"{files}, {tasks}: nothing to report"
    kinds = ("task", "queue", "worker", "schedule")
    return ", ".join(counted(len(report.plan.scopes(kind)), kind) for kind in kinds) + ": nothing to report"


def waived_summary(report: Report) -> str:
    """The number of waived findings, and the date when the first waiver expires; empty without any."""
    days = [each.diagnostic.waived.expires for each in report.waived if each.diagnostic.waived]
    if not days:
        return ""
    return f"{counted(len(days), 'finding')} waived, next waiver expires {printable(min(days))}"


def _hidden_summary(report: Report) -> str:
    return f"{counted(report.hidden, 'finding')} hidden by the baseline" if report.hidden else ""


def severity_counts(report: Report) -> Counter[Severity]:
    """The number of findings that count, by severity."""
    return Counter(finding.diagnostic.severity for finding in report.findings)


def file_count(report: Report) -> int:
    """The number of files that were read, or should have been."""
    # An unreadable file has a finding and no text.
    found = (finding.place.file for finding in (*report.findings, *report.waived))
    return len({*_workload_texts(report), *filter(None, found)})


def _workload_texts(report: Report) -> set[str]:
    """The workload files that were read; the policy file does not count."""
    rules = report.document.policy
    return set(report.document.texts) - {rules.source.name if rules else ""}


def task_count(report: Report) -> int:
    """The number of tasks in the plan, or in the document where there is no plan."""
    if report.plan is not None:
        return len(report.plan.scopes("task"))
    tasks = report.document.data.get("tasks")
    return len(tasks) if isinstance(tasks, dict) else 0


def place_data(place: Place) -> dict[str, str | int | None]:
    """A position for JSON; all null when the finding is about no file."""
    if not place.file:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}
