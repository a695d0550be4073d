"""Tests a policy file of an organization against workloads with expected findings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.findings.judge import covers
from policycompiler.load import Document, load, load_one
from policycompiler.model import checked
from policycompiler.model.policy_tests import Case, Expected, PolicyTests


class Outcome(NamedTuple):
    """The name of a case and its problems in words; no problems if it passes."""

    name: str
    problems: list[str]


class Report(NamedTuple):
    """The result of a file of tests; `refused` says why it is unreadable, and `document` has its text."""

    outcomes: list[Outcome]
    refused: list[Diagnostic]
    document: Document


def run(path: Path) -> Report:
    """Run all cases of a file."""
    file, findings = load_one(path)
    if file is None:
        return Report([], findings, load([])[0])
    document = Document(file.data, file.mark, {file.name: file.text}, ())
    if findings:
        return Report([], findings, document)
    tests, refused = checked(PolicyTests, file.data)
    if tests is None:
        return Report([], refused, document)
    policy = path.parent / tests.policy
    rules = compile_workload([], policy=policy, targets=())
    if rules.misruled:
        return Report([], rules.diagnostics, rules.document)
    outcomes = [Outcome(case.name, list(_problems(case, policy, path.parent))) for case in tests.cases]
    return Report(outcomes, [], document)


def _problems(case: Case, policy: Path, folder: Path) -> Iterator[str]:
    workload = [case.workload] if isinstance(case.workload, str) else case.workload
    today = date.fromisoformat(case.today) if case.today else None
    compilation = compile_workload(
        [folder / source for source in workload], environment=case.env, policy=policy, targets=(), today=today
    )
    if not compilation.document.per_file and not compilation.diagnostics:
        yield f"no workload found at {', '.join(workload)}"
    left = list(compilation.diagnostics)
    for expected in case.expect:
        match = next((each for each in left if _is(expected, each)), None)
        if match is None:
            yield f"not found: {_words(expected)}"
        else:
            left.remove(match)
    for diagnostic in left:
        if diagnostic.severity is not Severity.INFO and (diagnostic.waived is None or compilation.misruled):
            where = ".".join(str(part) for part in diagnostic.path)
            what = f"{diagnostic.severity} {diagnostic.name}{f' at {where}' if where else ''}"
            yield f"not expected: {what}: {diagnostic.told}"


def _is(expected: Expected, found: Diagnostic) -> bool:
    return (
        expected.finding in (found.code, found.name)
        and (expected.at is None or covers(expected.at, found.path))
        and expected.severity in (None, found.severity)
        and expected.waived == (found.waived is not None)
    )


def _words(expected: Expected) -> str:
    severity = f"{expected.severity} " if expected.severity else ""
    where = f" at {expected.at}" if expected.at else ""
    return f"{severity}{expected.finding}{where}{', waived' if expected.waived else ''}"
