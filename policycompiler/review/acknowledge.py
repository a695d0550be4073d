"""Changes as findings, so that they are shown where findings are, and acknowledged as findings are waived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Finding, Place, SpecPath, Waived
from policycompiler.judge import LOSSY_CHANGE, MANUAL_CHANGE, ORDERED_CHANGE, Answers
from policycompiler.load import Document
from policycompiler.review.rollout import Change, Class, Review

_FINDINGS: Mapping[Class, Finding] = {
    Class.LOSSY: LOSSY_CHANGE,
    Class.MANUAL: MANUAL_CHANGE,
    Class.ORDERED: ORDERED_CHANGE,
}
_HELP: Mapping[Class, str] = {
    Class.LOSSY: "keep what was, or acknowledge the change with a waiver in the new workload",
    Class.MANUAL: "do what the change asks for, and acknowledge it with a waiver in the new workload",
    Class.ORDERED: (
        "take the steps that `policycompiler diff` prints, in their order; a waiver in the new workload "
        "acknowledges it"
    ),
}
_SECTIONS = {
    "task": "tasks",
    "queue": "queues",
    "worker": "workers",
    "schedule": "schedules",
    "alert": "alerts",
}
"""Where the workload describes what a scope is about."""


def findings(review: Review, old: Document | None, title: Callable[[Change], str]) -> list[Diagnostic]:
    """A finding for each change that is not safe, in their order.

    It stands at what was written in the new workload, else in the `old` one. `title` says a change in words.
    """
    return [_finding(change, old, title(change)) for change in review.changes if change.risk in _FINDINGS]


def _finding(change: Change, old: Document | None, title: str) -> Diagnostic:
    path, place = change.new_path, None
    if not path and change.old_path:
        path = change.old_path
        place = old.place(path, key=is_entry(path)) if old else Place("", 1, 1)
    path = path or _path_of(change.parts[0])
    message = f"{title}: {change.because}"
    return _FINDINGS[change.risk].at(
        path, message, help=_HELP[change.risk], place=place, at_key=is_entry(path)
    )


def is_entry(path: SpecPath) -> bool:
    """Whether a path leads to a section or an entry of one: a reader looks for its name."""
    return len(path) <= 2  # noqa: PLR2004 - `tasks`, `shop.a`


def _path_of(scope: str) -> SpecPath:
    """Where a waiver can name what nobody wrote."""
    kind, _, name = scope.partition(":")
    return (_SECTIONS.get(kind, kind), name) if name else (kind,)


class Answer(NamedTuple):
    """Who answers for a change, if anybody does; `note` says why a waiver of it does not count."""

    waived: Waived | None = None
    note: str = ""


def acknowledged(review: Review, found: Sequence[Diagnostic], answers: Answers) -> list[Answer]:
    """The answer to each change of the review, whose `findings` are given; a safe change needs none."""
    pairs = iter(zip(found, answers.answered, strict=True))
    return [_answer(*next(pairs)) if change.risk in _FINDINGS else Answer() for change in review.changes]


def _answer(found: Diagnostic, answered: Diagnostic) -> Answer:
    note = answered.message.removeprefix(found.message).strip(" ()")
    return Answer(answered.waived, note)


def all_acknowledged(answers: Answers) -> bool:
    """Whether somebody answers for every change that is not safe."""
    return all(finding.waived is not None for finding in answers.answered)
