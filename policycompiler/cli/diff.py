"""`policycompiler diff`: the changes between two plans, their risk, and the rollout steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from policycompiler import __version__, load, report
from policycompiler.cli import comparing, options, running
from policycompiler.comparison import Compared, errors_of, name_of
from policycompiler.diagnostics import Diagnostic
from policycompiler.findings.judge import WAIVER_UNUSED
from policycompiler.report.review import doubts, review_json
from policycompiler.report.review_markdown import no_review_markdown, review_markdown
from policycompiler.report.review_text import review_text
from policycompiler.sides import Side, is_sources, with_path_of


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", required=False, metavar="[NEW]")
@click.option("--exit-code", is_flag=True, help="Fail if a change is not safe and no waiver acknowledges it.")
@options.for_reviews
def diff(*, old: str, new: str | None, exit_code: bool, run: options.Run) -> None:
    """Compare two plans: show each change, how risky it is, and the steps that roll it out.

    OLD and NEW are each a plan file, a compiled folder, workload sources, or git:REV[:PATH]. Without NEW, the
    sources of the project file are the new side. A waiver in the new workload acknowledges a change: it names
    lossy-change, manual-change or ordered-change.

    \b
    Examples:
      policycompiler diff build workloads
      policycompiler diff build/plan.json workloads --output-format markdown
      policycompiler diff git:main workloads --exit-code
    """
    # `diff git:main workloads` means the same folder on both sides, and so does the reverse.
    beside = (Path(new),) if new is not None and is_sources(new) else run.project.sources
    sources = (Path(old),) if new is not None and is_sources(old) else run.project.sources
    if new is None and not sources:
        raise click.UsageError("no NEW side: name one, or set `sources` in policycompiler.toml")
    after = comparing.with_plan(comparing.side(new, run, sources, baseline=run.baseline), run)
    before = comparing.old_side(old if new is None else with_path_of(old, new), run, beside)
    if code := comparing.tell_no_plan(before, run):
        if text := _text_without_old(before, after, run):
            running.print_text(text, run)
        sys.exit(code)
    found = comparing.compared(before, after, run, tell_firings=True)
    running.print_text(_text(found, after, run), run)
    if run.output_file is not None or run.output_format not in ("full", "markdown"):
        running.tell(*doubts(found.reviewed))
    _tell_unanswered(found, run, all_of_them=exit_code)
    refused = errors_of(after) or (exit_code and not found.acknowledged)
    sys.exit(running.exit_code(found.answers.judged, run) or (running.EXIT_FINDINGS if refused else 0))


def _text_without_old(old: Side, new: Side, run: options.Run) -> str:
    """The output where the old side has no plan."""
    if run.output_format == "markdown":
        return no_review_markdown(name_of(new, run.env), old.label)
    wrong = errors_of(new)
    beside_files = run.output_format == "gitlab" or (run.output_format == "github" and wrong)
    return _annotations(wrong, new, run) if beside_files else ""


def _text(found: Compared, new: Side, run: options.Run) -> str:
    match run.output_format:
        case "full":
            color = running.wants_color(run)
            return review_text(found.reviewed, color=color, quiet=run.quiet)
        case "json":
            return review_json(found.reviewed)
        case "markdown":
            return review_markdown(found.reviewed)
    return _annotations([*errors_of(new), *found.answers.judged], new, run)


def _annotations(findings: Sequence[Diagnostic], new: Side, run: options.Run) -> str:
    return report.render(
        findings,
        new.document or load.load([])[0],
        run.output_format,
        plan=new.plan,
        fail_on=run.fail_on,
        program=report.Program(__version__, running.advice),
    )


def _tell_unanswered(found: Compared, run: options.Run, *, all_of_them: bool) -> None:
    """Print the changes that fail the command, and unused waivers, with what a waiver would have to name."""
    shown = {each.message for each in found.answers.judged if run.output_format in ("github", "gitlab")}
    failing = [
        each
        for each in found.answers.judged
        if each.finding is WAIVER_UNUSED or running.exit_code([each], run)
    ]
    if all_of_them:
        told = {each.message for each in failing}
        failing += [each for each in found.answers.answered if not each.waived and each.message not in told]
    for each in failing:
        if each.message not in shown:
            what = f"{each.severity}[{each.code}] {each.name}: {each.told}; help: {each.help}"
            running.tell(report.clean(what))
