"""The sentences for people, as they come out: of findings, of reasons, and of reviews."""

from __future__ import annotations

import re
from collections.abc import Iterator

import corpus
import rollout_cases
from places import EXAMPLES

from policycompiler import manual
from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic
from policycompiler.review import Review

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def of_findings() -> set[str]:
    """Messages, helps and notes of every text of the manual and of the real deployments."""
    found: set[str] = set()
    for _, page in manual.all_findings():
        for text in filter(None, (page.fires, page.silent)):
            for each in manual.findings_of(manual.whole(text), page.policy):
                found.update(_said(each))
    for case in corpus.CASES:
        for each in corpus.compiled(case).diagnostics:
            found.update(_said(each))
    return found


def _said(found: Diagnostic) -> Iterator[str]:
    yield f"{found.code} {found.message}"
    if found.help:
        yield f"{found.code} help: {found.help}"
    yield from (f"{found.code} note: {other.note}" for other in found.related if other.note)


def of_reasons() -> set[str]:
    """Why settings have their values, in the examples and the real deployments; each number once."""
    compilations = [
        compile_workload([source], targets=()) for source in (EXAMPLES / "shop", EXAMPLES / "minimal.yaml")
    ]
    compilations += [corpus.compiled(case) for case in corpus.CASES]
    told = {
        _NUMBER.sub("0", setting.because): f"{setting.policy} because {setting.because}"
        for compilation in compilations
        for setting in compilation.plan or ()
    }
    return set(told.values())


def of_reviews() -> set[str]:
    """Titles and reasons of changes, and what steps say, of many pairs of plans."""
    return {
        line for name, broker in rollout_cases.CASES for line in _of_review(rollout_cases.of(name, broker))
    }


def _of_review(review: Review) -> Iterator[str]:
    for change in review.changes:
        yield f"{change.kind} {change.because}"
    for step in review.steps:
        yield f"step {step.action}"
        yield f"why {step.why}"
        yield f"undo {step.undo}"
        yield from (f"until {wait.says}" for wait in (*step.wait_for, *step.undo_wait_for))
        yield from (f"to {action.says}" for action in (*step.run, *step.undo_run))


WORDS = {"findings": of_findings, "reasons": of_reasons, "reviews": of_reviews}
