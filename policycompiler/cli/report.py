"""`policycompiler report`: a plan as one page."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import __version__, load
from policycompiler.cli import comparing, options, running
from policycompiler.comparison import name_of
from policycompiler.report import Program, clean
from policycompiler.report.page import Before, Subject, page
from policycompiler.sides import SideError, complete


@click.command()
@options.sources
@click.option(
    "--against", metavar="OLD", help="Show the changes from this plan, folder, sources or git:REV[:PATH]."
)
@options.page_file
@options.for_pages
def report(*, sources: tuple[Path, ...], against: str | None, file: Path, run: options.Run) -> None:
    """Write one HTML page: the way of each task, numbers with reasons, schedules, alerts and findings.

    SOURCE is a compiled folder, a plan file, git:REV[:PATH], or workload sources. The page loads nothing.

    \b
    Examples:
      policycompiler report build -o report.html
      policycompiler report workloads --against git:main
    """
    text = str(sources[0]) if len(sources) == 1 else None
    side = comparing.with_plan(
        comparing.side(text, run, sources or run.project.sources, baseline=run.baseline), run
    )
    old = comparing.old_side(against, run, sources or run.project.sources) if against else None
    if old and (code := comparing.tell_no_plan(old, run)):
        sys.exit(code)
    found = comparing.compared(old, side, run) if old else None
    made = side.compilation
    try:
        with complete(side) as plan:
            subject = Subject(
                side.label,
                name_of(side, run.env),
                plan,
                side.document or load.load([])[0],
                made.diagnostics if made else None,
                made.hidden if made else 0,
            )
            before = Before(old.plan, found.reviewed) if old and old.plan and found else None
            html = page(subject, before, Program(__version__, running.advice))
    except SideError as problem:
        raise click.UsageError(str(problem)) from None
    running.print_text(html, run._replace(output_file=file))
    running.tell("" if run.quiet else clean(f"wrote {file}"))
    sys.exit(running.exit_code(made.diagnostics if made else (), run))
