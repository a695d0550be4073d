"""Findings with their positions, and what every format says of them all."""

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
    """What the program knows of itself: its version, and what to do about a finding, by its code.

    The advice is empty where the program has none.
    """

    version: str
    advice: Callable[[str], str]


class Report(NamedTuple):
    """What is to be printed.

    `findings` count; for the `waived` ones somebody answers, and they neither count nor fail. `hidden` are
    those that a baseline knows, `fail_on` is the mildest severity that fails the command.
    """

    findings: Sequence[Located]
    waived: Sequence[Located]
    document: Document
    plan: Plan | None
    hidden: int
    fail_on: Severity
    program: Program


def located(diagnostics: Iterable[Diagnostic], document: Document) -> list[Located]:
    """The diagnostics with their positions, sorted by them; of equal ones at one place the first.

    One that is waived never stands for an equal one that is not.
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
    """What tells findings apart and stays when the text around them moves: finding and path, never a line.

    Of several at one path each has its own.
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
    """The code, or the name of an organisation's own finding: those share one code."""
    return diagnostic.name if diagnostic.code == CUSTOM_CODE else diagnostic.code


def more_command(diagnostic: Diagnostic) -> str:
    """The command that prints the manual page of a finding; empty for an organisation's own."""
    return "" if diagnostic.code == CUSTOM_CODE else f"policycompiler finding {diagnostic.code}"


def printable(text: str) -> str:
    """What a finding says, for people: no password, nothing that a terminal obeys, no endless word."""
    return visible(sentence(text))


def answered(waived: Waived) -> str:
    """Who answers for a finding, until when, and why."""
    return printable(f"by {waived.owner} until {waived.expires}: {waived.reason}")


def summary(report: Report) -> str:
    """All findings in one line."""
    undeclared = for_undeclared(report.plan) if report.plan and not report.findings else ""
    aside = "; ".join(filter(None, [waived_summary(report), _hidden_summary(report), undeclared]))
    return f"{verdict(report)} ({aside})" if aside else verdict(report)


def verdict(report: Report) -> str:
    """The findings that count, in one line."""
    files, tasks = counted(file_count(report), "file"), counted(task_count(report), "task")
    severities = severity_counts(report)
    if severities:
        found = ", ".join(counted(severities[each], each) for each in Severity if severities[each])
        # Where the policy file is wrong, no task was looked at.
        misruled = report.document.policy is not None and not _workload_texts(report)
        return f"{found} in {files}" if misruled else f"{found} in {files}, {tasks}"
    if report.plan is None:
        return f"{files}, {tasks}: nothing to report"
    kinds = ("task", "queue", "worker", "schedule")
    return ", ".join(counted(len(report.plan.scopes(kind)), kind) for kind in kinds) + ": nothing to report"


def waived_summary(report: Report) -> str:
    """How many are waived, and when the first of them counts again; empty without any."""
    days = [each.diagnostic.waived.expires for each in report.waived if each.diagnostic.waived]
    if not days:
        return ""
    return f"{counted(len(days), 'finding')} waived, next waiver expires {printable(min(days))}"


def _hidden_summary(report: Report) -> str:
    return f"{counted(report.hidden, 'finding')} hidden by the baseline" if report.hidden else ""


def severity_counts(report: Report) -> Counter[Severity]:
    """How many findings that count there are of each severity."""
    return Counter(finding.diagnostic.severity for finding in report.findings)


def file_count(report: Report) -> int:
    """How many files were looked at."""
    # A file that could not be read has a finding and no text.
    found = (finding.place.file for finding in (*report.findings, *report.waived))
    return len({*_workload_texts(report), *filter(None, found)})


def _workload_texts(report: Report) -> set[str]:
    """The files that were read; the policy file is none of the workload."""
    rules = report.document.policy
    return set(report.document.texts) - {rules.source.name if rules else ""}


def task_count(report: Report) -> int:
    """How many tasks the plan has, or the document where there is no plan."""
    if report.plan is not None:
        return len(report.plan.scopes("task"))
    tasks = report.document.data.get("tasks")
    return len(tasks) if isinstance(tasks, dict) else 0


def place_data(place: Place) -> dict[str, str | int | None]:
    """A position for JSON; all null when the finding is about no file."""
    if not place.file:
        return {"file": None, "line": None, "column": None}
    return {"file": place.file, "line": place.line, "column": place.column}
