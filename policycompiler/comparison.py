"""Compares two sides, and judges the findings about the changes by the rules of the new side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from policycompiler import __version__, load, output, review
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters import emit
from policycompiler.emitters.base import OutputFile
from policycompiler.findings import acknowledge
from policycompiler.findings.judge import Answers, judge_changes
from policycompiler.model import PolicyFile
from policycompiler.plan import APP, Plan, UndecidedError
from policycompiler.report.change_titles import title
from policycompiler.report.page import Subject
from policycompiler.report.review import Half, Reviewed, review_json
from policycompiler.report.review_markdown import rollout_markdown
from policycompiler.report.text import clean
from policycompiler.review.rollout_files import GUIDE, STEPS, rollout_files
from policycompiler.sides import Side, SideError


class Compared(NamedTuple):
    """A review to print, with its judged findings."""

    reviewed: Reviewed
    answers: Answers

    @property
    def acknowledged(self) -> bool:
        """Whether a waiver applies to every change that is not safe."""
        return all(finding.waived is not None for finding in self.answers.answered)


def compare(
    old: Side,
    new: Side,
    *,
    environment: str | None,
    today: date,
    tell_firings: bool = False,
    apply_waivers: bool = True,
) -> Compared:
    """Compare two sides that have a plan, in an `environment`. Raises `SideError` for an incomplete plan.

    `today` decides which waivers have expired. With `tell_firings`, the next firings of schedules start from
    `today`.
    """
    try:
        found = review.review(_plan(old), _plan(new), today if tell_firings else None)
    except UndecidedError as problem:
        told = f"{old.label} or {new.label} is not a complete plan: {problem}; compile its sources again"
        raise SideError(clean(told)) from None
    findings = acknowledge.findings(found, old.document, new.document, title)
    made = new.compilation
    rules = made.policy if made else PolicyFile.silent()
    waivers = made.waivers if made and apply_waivers else ()
    earlier = old.compilation.waivers if old.compilation else ()
    answers = judge_changes(findings, waivers, rules, today, earlier)
    reviewed = Reviewed(
        found,
        Half(old.label, old.document, len(errors_of(old)), old.lacks),
        Half(new.label, new.document, len(errors_of(new)), new.lacks),
        acknowledge.acknowledged(found, findings, answers),
        name_of(new, environment),
        () if environment else _environments_that_differ(old, new),
    )
    return Compared(reviewed, answers)


def rollout_folder(reviewed: Reviewed, old: Side, targets: Sequence[str]) -> list[OutputFile]:
    """The guide, the steps, and the compiled folder of each plan in between, with these targets.

    Raises `SideError` if no compile wrote the old plan, because it may then contain anything.
    """
    if old.compilation is None:
        try:
            emit(_plan(old), targets)
        except Exception as problem:
            told = f"cannot emit the files of {old.label}, which no compile wrote; compile its sources again"
            raise SideError(clean(told)) from problem
    # A new line at the top of a workload must not change the output.
    bare = Half(reviewed.new.label, None)
    texts = {
        STEPS: review_json(reviewed._replace(old=bare, new=bare)),
        GUIDE: rollout_markdown(reviewed.review),
    }
    made = rollout_files(reviewed.review, _plan(old), targets, texts)
    return [*made, *_manifests(made, reviewed.review)]


def _manifests(made: Sequence[OutputFile], found: review.Review) -> list[OutputFile]:
    """A manifest in each folder of a phase, so that a copy counts as a compiled folder; without sources."""
    below = {
        folder: [
            file._replace(path=file.path.removeprefix(f"{folder}/"))
            for file in made
            if file.path.startswith(f"{folder}/")
        ]
        for folder in found.phases
    }
    manifests = {
        folder: output.manifest_file(files, {}, __version__) for folder, files in below.items() if files
    }
    return [file._replace(path=f"{folder}/{file.path}") for folder, file in manifests.items()]


def errors_of(side: Side) -> list[Diagnostic]:
    """The errors of a check of its sources that no waiver covers; the side still has a plan."""
    made: Sequence[Diagnostic] = side.compilation.diagnostics if side.compilation else ()
    return [each for each in made if each.severity is Severity.ERROR and each.waived is None]


def name_of(side: Side, environment: str | None) -> str:
    """The service and the environment of a side."""
    return f"{_plan(side).get(APP, 'service', '')}" + (f" ({environment})" if environment else "")


def subject(side: Side, environment: str | None) -> Subject:
    """What a page about a side that has a plan shows."""
    made = side.compilation
    return Subject(
        side.label,
        name_of(side, environment),
        _plan(side),
        side.document or load.load([])[0],
        made.diagnostics if made else None,
        made.hidden if made else 0,
    )


def _environments_that_differ(old: Side, new: Side) -> list[str]:
    if old.document is None or new.document is None:
        return []
    before, after = old.document.overlays(), new.document.overlays()
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _plan(side: Side) -> Plan:
    assert side.plan is not None, f"{side.label} has no plan"
    return side.plan
