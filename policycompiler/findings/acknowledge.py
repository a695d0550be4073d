"""Changes as findings: reports show them with other findings, and waivers acknowledge them."""

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
    Class.LOSSY: "keep the old value, or accept the loss",
    Class.MANUAL: "do by hand what the change requires",
    Class.ORDERED: "follow the steps of `policycompiler diff` in order",
}
_SECTIONS = {
    "task": "tasks",
    "queue": "queues",
    "worker": "workers",
    "schedule": "schedules",
    "alert": "alerts",
}
"""The section of the workload for each kind of scope."""


def findings(
    review: Review, old: Document | None, new: Document | None, title: Callable[[Change], str]
) -> list[Diagnostic]:
    """A finding for each change that is not safe, in their order.

    A removed entry has its old place in the message, and the nearest place in the `new` sources. Without new
    sources, it has the place in the `old` sources. `title` gives the words of a change.
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
    to_acknowledge = f"to acknowledge the change, add a waiver to the new workload: {waiver_of(change)}"
    help_text = f"{_HELP[change.risk]}; {to_acknowledge}"
    return _FINDINGS[change.risk].at(path, message, help=help_text, place=place, at_key=is_entry(path))


def waiver_of(change: Change) -> str:
    """The fields of a waiver that acknowledges a change that is not safe."""
    return f"`finding: {_FINDINGS[change.risk].name}`, `at: {glob_of(_path(change))}`"


def _path(change: Change) -> SpecPath:
    return change.new_path or change.old_path or _path_of(change.scope)


def is_entry(path: SpecPath) -> bool:
    """Whether a path leads to a section or an entry, so that the place is its name."""
    return len(path) <= 2  # noqa: PLR2004 - `tasks`, `shop.a`


def _path_of(scope: Scope) -> SpecPath:
    """The path for a waiver of a scope without an entry in the workload."""
    return (_SECTIONS.get(scope.kind, scope.kind), scope.name) if scope.name else (scope.kind,)


class Answer(NamedTuple):
    """The waiver of a change, if any; `note` says why a waiver does not apply."""

    waived: Waived | None = None
    note: str = ""


def acknowledged(review: Review, found: Sequence[Diagnostic], answers: Answers) -> list[Answer]:
    """The waiver of each change of the review with these `findings`; a safe change needs none."""
    assert len(found) == len(answers.answered)
    answered = iter(answers.answered)
    return [_answer(next(answered)) if change.risk in _FINDINGS else Answer() for change in review.changes]


def _answer(answered: Diagnostic) -> Answer:
    return Answer(answered.waived, "; ".join(answered.notes))
