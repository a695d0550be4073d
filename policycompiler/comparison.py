"""Two sides compared, and what is found of it judged as the new one's rules say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from policycompiler import __version__, output, review
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters import emit
from policycompiler.emitters.base import OutputFile
from policycompiler.findings import acknowledge
from policycompiler.findings.judge import Answers, judge_changes
from policycompiler.model import PolicyFile
from policycompiler.plan import APP, Plan, UndecidedError
from policycompiler.report.change_titles import title
from policycompiler.report.review import Half, Reviewed, review_json
from policycompiler.report.review_markdown import rollout_markdown
from policycompiler.report.text import clean
from policycompiler.review.rollout_files import GUIDE, STEPS, rollout_files
from policycompiler.sides import Side, SideError


class Compared(NamedTuple):
    """A review to be printed, and what its findings are worth."""

    reviewed: Reviewed
    answers: Answers

    @property
    def acknowledged(self) -> bool:
        """Whether somebody answers for every change that is not safe."""
        return all(finding.waived is not None for finding in self.answers.answered)


def compare(
    old: Side,
    new: Side,
    *,
    environment: str | None,
    today: date,
    tell_firings: bool = False,
    heed_waivers: bool = True,
) -> Compared:
    """Compare two sides that have a plan, of an `environment`. Raises `SideError` where one is no whole plan.

    `today` decides which waivers have expired; next firings of schedules are counted from it, where they are
    to be told.
    """
    try:
        found = review.review(_plan(old), _plan(new), today if tell_firings else None)
    except UndecidedError as problem:
        told = f"{old.label} or {new.label} is no whole plan: {problem}; compile its sources again"
        raise SideError(clean(told)) from None
    findings = acknowledge.findings(found, old.document, new.document, title)
    made = new.compilation
    rules = made.policy if made else PolicyFile.silent()
    waivers = made.waivers if made and heed_waivers else ()
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

    Raises `SideError` where the old plan is none that a compile wrote: then it may hold anything.
    """
    if old.compilation is None:
        try:
            emit(_plan(old), targets)
        except Exception as problem:
            told = f"no compile wrote {old.label}: its files cannot be made; compile its sources again"
            raise SideError(clean(told)) from problem
    # A line more at the top of a workload is no other output.
    bare = Half(reviewed.new.label, None)
    texts = {
        STEPS: review_json(reviewed._replace(old=bare, new=bare)),
        GUIDE: rollout_markdown(reviewed.review),
    }
    made = rollout_files(reviewed.review, targets, texts)
    return [*made, *_manifests(made, reviewed.review)]


def _manifests(made: Sequence[OutputFile], found: review.Review) -> list[OutputFile]:
    """One in each folder of a phase: a copy of it is known as a compiled folder, and names no sources."""
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
    """What a check of its sources finds and nobody answers for; it has a plan all the same."""
    made: Sequence[Diagnostic] = side.compilation.diagnostics if side.compilation else ()
    return [each for each in made if each.severity is Severity.ERROR and each.waived is None]


def name_of(side: Side, environment: str | None) -> str:
    """What a side is the plan of: the service, and the environment."""
    return f"{_plan(side).get(APP, 'service', '')}" + (f" ({environment})" if environment else "")


def _environments_that_differ(old: Side, new: Side) -> list[str]:
    if old.document is None or new.document is None:
        return []
    before, after = old.document.overlays(), new.document.overlays()
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _plan(side: Side) -> Plan:
    assert side.plan is not None, f"{side.label} has no plan"
    return side.plan
