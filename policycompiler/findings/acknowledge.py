"""Changes as findings, so that they are shown where findings are, and acknowledged as findings are waived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Finding, Place, SpecPath, Waived
from policycompiler.findings.judge import LOSSY_CHANGE, MANUAL_CHANGE, ORDERED_CHANGE, Answers, glob_of
from policycompiler.load import Document
from policycompiler.plan import Scope
from policycompiler.review.outcome import Change, Class, Review

_FINDINGS: Mapping[Class, Finding] = {
    Class.LOSSY: LOSSY_CHANGE,
    Class.MANUAL: MANUAL_CHANGE,
    Class.ORDERED: ORDERED_CHANGE,
}
_HELP: Mapping[Class, str] = {
    Class.LOSSY: "keep what was, or accept the loss",
    Class.MANUAL: "do what the change asks for",
    Class.ORDERED: "take the steps that `policycompiler diff` prints, in their order",
}
_SECTIONS = {
    "task": "tasks",
    "queue": "queues",
    "worker": "workers",
    "schedule": "schedules",
    "alert": "alerts",
}
"""Where the workload describes what a scope is about."""


def findings(
    review: Review, old: Document | None, new: Document | None, title: Callable[[Change], str]
) -> list[Diagnostic]:
    """A finding for each change that is not safe, in their order.

    Of what stood in the `old` sources only, it says where, and stands nearest to it in the `new` ones; where
    there are none, in the old. `title` says a change in words.
    """
    return [
        _finding(change, old, new, title(change)) for change in review.changes if change.risk in _FINDINGS
    ]


def _finding(change: Change, old: Document | None, new: Document | None, title: str) -> Diagnostic:
    path, place = _path(change), None
    message = f"{title}: {change.because}"
    if change.old_path and not change.new_path:
        place = old.place(path, key=is_entry(path)) if old else Place("", 1, 1)
        if new:
            message += f" (was {place.file}:{place.line})" if place.file else ""
            place = None
    help_text = f"{_HELP[change.risk]}; a waiver in the new workload acknowledges it: {waiver_of(change)}"
    return _FINDINGS[change.risk].at(path, message, help=help_text, place=place, at_key=is_entry(path))


def waiver_of(change: Change) -> str:
    """What a waiver says to acknowledge a change that is not safe."""
    return f"`finding: {_FINDINGS[change.risk].name}`, `at: {glob_of(_path(change))}`"


def _path(change: Change) -> SpecPath:
    return change.new_path or change.old_path or _path_of(change.scope)


def is_entry(path: SpecPath) -> bool:
    """Whether a path leads to a section or an entry of one: a reader looks for its name."""
    return len(path) <= 2  # noqa: PLR2004 - `tasks`, `shop.a`


def _path_of(scope: Scope) -> SpecPath:
    """Where a waiver can name what nobody wrote."""
    return (_SECTIONS.get(scope.kind, scope.kind), scope.name) if scope.name else (scope.kind,)


class Answer(NamedTuple):
    """Who answers for a change, if anybody does; `note` says why a waiver of it does not count."""

    waived: Waived | None = None
    note: str = ""


def acknowledged(review: Review, found: Sequence[Diagnostic], answers: Answers) -> list[Answer]:
    """The answer to each change of the review, whose `findings` are given; a safe change needs none."""
    assert len(found) == len(answers.answered)
    answered = iter(answers.answered)
    return [_answer(next(answered)) if change.risk in _FINDINGS else Answer() for change in review.changes]


def _answer(answered: Diagnostic) -> Answer:
    return Answer(answered.waived, "; ".join(answered.notes))
