"""`policycompiler report`: a plan as one page."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import __version__
from policycompiler.cli import comparing, options, running
from policycompiler.comparison import subject
from policycompiler.report import Program, clean
from policycompiler.report.page import Before, page
from policycompiler.sides import SideError, complete


@click.command()
@options.sources
@click.option(
    "--against", metavar="OLD", help="Show the changes from this plan, folder, sources or git:REV[:PATH]."
)
@options.page_file
@options.for_pages
def report(*, sources: tuple[Path, ...], against: str | None, file: Path, run: options.Run) -> None:
    """Write one HTML page: a picture, numbers with reasons, schedules, alerts and findings.

    SOURCE is a compiled folder, a plan file, git:REV[:PATH], or workload sources. The page loads nothing.

    \b
    Examples:
      policycompiler report build -o report.html
      policycompiler report workloads --against git:main
    """
    paths = sources or run.project.sources
    text = str(sources[0]) if len(sources) == 1 else None
    side = comparing.with_plan(comparing.side(text, run, paths, baseline=run.baseline), run)
    old = comparing.old_side(against, run, paths) if against else None
    if old and (code := comparing.tell_no_plan(old, run)):
        sys.exit(code)
    program = Program(__version__, running.advice)
    try:
        with complete(side):
            before = (
                Before(old.plan, comparing.compared(old, side, run).reviewed) if old and old.plan else None
            )
            html = page(subject(side, run.env), before, program)
    except SideError as problem:
        raise click.UsageError(str(problem)) from None
    running.print_text(html, run._replace(output_file=file))
    running.tell("" if run.quiet else f"wrote {clean(str(file))}")
    sys.exit(running.exit_code(side.compilation.diagnostics if side.compilation else (), run))
