"""`policycompiler diff`: two plans compared, what changes in meaning, and in which order to roll it out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import click

from policycompiler import __version__, load, report
from policycompiler import review as reviews
from policycompiler.cli import options, running
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.judge import WAIVER_UNUSED, Answers, judge_changes
from policycompiler.model import PolicyFile
from policycompiler.plan import Plan, UndecidedError
from policycompiler.review import acknowledge
from policycompiler.sides import Side, SideError, is_sources, read_side


class Compared(NamedTuple):
    """A review to be printed, and what its findings are worth."""

    reviewed: report.Reviewed
    answers: Answers

    @property
    def findings(self) -> list[Diagnostic]:
        """As the policy file and the waivers of the new side judge them."""
        return self.answers.judged

    @property
    def notes(self) -> dict[str, str]:
        """Why a waiver does not count, by what is found."""
        risky = (change.risk is not reviews.Class.SAFE for change in self.reviewed.review.changes)
        notes = (answer.note for answer in compress(self.reviewed.answers, risky))
        return {found.message: note for found, note in zip(self.answers.answered, notes, strict=True)}


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", required=False, metavar="[NEW]")
@click.option("--exit-code", is_flag=True, help="Fail if a change is not safe and nobody acknowledges it.")
@options.for_reviews
def diff(*, old: str, new: str | None, exit_code: bool, run: options.Run) -> None:
    """Compare two plans: what changes in meaning, how risky it is, in which order to roll it out.

    OLD and NEW are a plan file, a compiled folder, workload sources, or git:REV[:PATH]; NEW is the sources
    of the project if it is left out. A change is acknowledged by a waiver in the new workload that names
    lossy-change, manual-change or ordered-change.
    """
    after = _with_plan(_side(new, run, run.project.sources, run.baseline), run)
    # `diff git:main workloads` means the same folder on both sides.
    beside = (Path(new),) if new is not None and is_sources(new) else run.project.sources
    before = old_side(old, run, beside)
    found = compare(before, after, run, day(run))
    running.print_text(_text(found, after, run), run)
    if run.output_file is not None or run.output_format not in ("full", "markdown"):
        tell(*report.doubts(found.reviewed))
    _tell_unanswered(found, run)
    refused = _errors(after) or (exit_code and not acknowledge.all_acknowledged(found.answers))
    sys.exit(running.exit_code(found.findings, run) or (running.EXIT_FINDINGS if refused else 0))


def old_side(old: str, run: options.Run, default_paths: Sequence[Path], *, aside: bool = False) -> Side:
    """Read what a new side is compared with. Ends the program where it makes no plan."""
    found = _side(old, run, default_paths)
    made: Sequence[Diagnostic] = found.compilation.diagnostics if found.compilation else ()
    if any(each.finding is load.UNKNOWN_ENVIRONMENT for each in made):
        # The new side has it: its name is no mistake.
        told = f"{found.label} has no environment `{run.env}`, so nothing of it runs that could be compared"
        raise click.UsageError(report.clean(f"{told}; compare without it, or with a side that has it"))
    return _with_plan(found, run, aside=aside)


def _side(
    text: str | None, run: options.Run, default_paths: Sequence[Path], baseline: Path | None = None
) -> Side:
    try:
        return read_side(
            text,
            default_paths=default_paths,
            environment=run.env,
            policy=run.policy,
            baseline=baseline,
            today=run.today,
            heed_waivers=run.heed_waivers,
        )
    except SideError as problem:
        raise click.UsageError(str(problem)) from None


def _with_plan(found: Side, run: options.Run, *, aside: bool = False) -> Side:
    """A side that makes a plan; else says why not, and ends the program."""
    if found.plan is None and found.compilation is not None:
        running.refuse_unread(found.compilation, run, aside=aside)
        click.echo(report.clean(f"{found.label} makes no plan:"), err=True)
        running.print_findings(found.compilation, run, aside=aside)
        sys.exit(running.EXIT_FINDINGS)
    return found


def compare(old: Side, new: Side, run: options.Run, today: date | None) -> Compared:
    """Compare two sides that have a plan, and judge what was found as the new one's rules say.

    With a `today` the next firings of schedules are told.
    """
    try:
        found = reviews.review(_plan(old), _plan(new), today)
    except UndecidedError as problem:
        told = f"{old.label} or {new.label} is no whole plan: {problem}; compile its sources again"
        raise click.UsageError(report.clean(told)) from None
    findings = acknowledge.findings(found, old.document, report.change_title)
    made = new.compilation
    rules = made.policy if made else PolicyFile.silent()
    waivers = made.waivers if made and run.heed_waivers else ()
    answers = judge_changes(findings, waivers, rules, day(run))
    reviewed = report.Reviewed(
        found,
        report.Half(old.label, old.document, len(_errors(old))),
        report.Half(new.label, new.document, len(_errors(new))),
        acknowledge.acknowledged(found, findings, answers),
    )
    return Compared(reviewed, answers)


def day(run: options.Run) -> date:
    """The day of `--today`, else of whoever asks."""
    return run.today or date.today()  # noqa: DTZ011


def _plan(side: Side) -> Plan:
    assert side.plan is not None, f"{side.label} has no plan"
    return side.plan


def _text(found: Compared, new: Side, run: options.Run) -> str:
    match run.output_format:
        case "full":
            color = running.wants_color(run)
            return report.review_text(found.reviewed, color=color, quiet=run.quiet)
        case "json":
            return report.review_json(found.reviewed)
        case "markdown":
            return report.review_markdown(found.reviewed)
    return report.render(
        [*_errors(new), *found.findings],
        new.document or load.load([])[0],
        run.output_format,
        plan=new.plan,
        fail_on=run.fail_on,
        program=report.Program(__version__, running.advice),
    )


def _errors(side: Side) -> list[Diagnostic]:
    """What a check of its sources finds and nobody answers for; it has a plan all the same."""
    made: Sequence[Diagnostic] = side.compilation.diagnostics if side.compilation else ()
    return [each for each in made if each.severity is Severity.ERROR and each.waived is None]


def tell(*lines: str) -> None:
    """Lines for people, beside what was asked for; nothing for an empty one."""
    for line in filter(None, lines):
        click.echo(line, err=True)


def _tell_unanswered(found: Compared, run: options.Run) -> None:
    """What fails the command, and acknowledgements of nothing, with what a waiver would have to name."""
    if run.output_format in ("github", "gitlab"):
        return
    for each in found.findings:
        if each.finding is WAIVER_UNUSED or running.exit_code([each], run):
            at = ".".join(str(part) for part in each.path)
            why = found.notes.get(each.message) or "acknowledged by nobody"
            what = each.message if each.finding is WAIVER_UNUSED else f"at `{at}`, {why}"
            tell(report.clean(f"{each.severity}[{each.code}] {each.name}: {what}; help: {each.help}"))
