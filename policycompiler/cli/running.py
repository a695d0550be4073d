"""How a command runs and ends: its sources compiled, its findings printed, its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import click

from policycompiler import __version__, load, manual, report
from policycompiler.cli.options import Run
from policycompiler.comparison import Compared, compare
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic
from policycompiler.sides import GIT, Side, SideError, read_side

EXIT_FINDINGS = 1
EXIT_MISRULED = 2
"""A policy file or a baseline that cannot be read: nothing was looked at, so nothing is known to be wrong."""
EXIT_NO_SOURCES = 3


def compiled(
    paths: tuple[Path, ...], run: Run, targets: tuple[str, ...] | None = (), *, aside: bool = False
) -> Compilation:
    """Compile what the command line or the project names. Ends the program when that is nothing.

    No files are made, unless `targets` asks for some; None asks for those of the policy file.
    """
    compilation = compile_workload(
        paths or run.project.sources,
        environment=run.env,
        policy=run.policy,
        baseline=run.baseline,
        targets=targets,
        today=run.today,
        heed_waivers=run.heed_waivers,
    )
    refuse_unread(compilation, run, aside=aside)
    return compilation


def refuse_unread(compilation: Compilation, run: Run, *, aside: bool = False) -> None:
    """End the program where nothing was looked at."""
    if compilation.misruled:
        print_findings(compilation, run, aside=aside)
        sys.exit(EXIT_MISRULED)
    if compilation.nothing_read:
        click.echo("nothing to read: name a workload file or a folder with .yaml files", err=True)
        sys.exit(EXIT_NO_SOURCES)


def print_findings(
    compilation: Compilation, run: Run, more: Sequence[Diagnostic] = (), *, aside: bool = False
) -> None:
    """Print the findings as asked; a quiet run without any prints nothing.

    `aside` says that standard output belongs to something else: they go to standard error.
    """
    findings = [*compilation.diagnostics, *more]
    if run.quiet and not findings and run.output_format not in report.DOCUMENT_FORMATS:
        return
    text = report.render(
        findings,
        compilation.document,
        run.output_format,
        color=wants_color(run, aside=aside),
        plan=compilation.plan,
        hidden=compilation.hidden,
        fail_on=run.fail_on,
        program=report.Program(__version__, advice),
    )
    print_text(text, run, aside=aside)


def print_text(text: str, run: Run, *, aside: bool = False) -> None:
    """Print what was asked for, where it was asked for."""
    if run.output_file is None:
        click.echo(text, nl=False, color=True, err=aside)
        return
    try:
        run.output_file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{run.output_file}: {problem.strerror}"
        raise click.UsageError(message) from None


def side(text: str | None, run: Run, default_paths: Sequence[Path], *, baseline: Path | None = None) -> Side:
    """Read what is to be compared."""
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


def old_side(old: str, run: Run, default_paths: Sequence[Path]) -> Side:
    """Read what a new side is compared with. It may make no plan: `tell_no_plan`."""
    found = side(old, run, default_paths)
    made: Sequence[Diagnostic] = found.compilation.diagnostics if found.compilation else ()
    if any(each.finding is load.UNKNOWN_ENVIRONMENT for each in made):
        # The new side has it: its name is no mistake.
        told = f"{found.label} has no environment `{run.env}`, so nothing of it runs that could be compared"
        raise click.UsageError(report.clean(f"{told}; compare without it, or with a side that has it"))
    return found


def tell_no_plan(old: Side, run: Run) -> int:
    """Say on standard error why an old side makes no plan, and give the exit code; 0 where it makes one.

    Whoever reads a report beside the files looks at those of the new side: nothing of the old one is in it.
    """
    made = old.compilation
    if old.plan is not None or made is None:
        return 0
    if made.nothing_read:
        told = f"{old.label} has nothing to read: name a workload file or a folder with .yaml files"
        tell(report.clean(told))
        return EXIT_NO_SOURCES
    tell(report.clean(f"{old.label} makes no plan:"))
    prefix = f"{report.clean(old.label)}: " if old.label.startswith(GIT) else ""
    told = report.render(made.diagnostics, made.document, "concise", fail_on=run.fail_on)
    tell(*(f"{prefix}{line}" for line in told.splitlines()))
    return EXIT_MISRULED if made.misruled else EXIT_FINDINGS


def compared(old: Side, new: Side, run: Run, *, tell_firings: bool = False) -> Compared:
    """Compare two sides that have a plan, as of the day of `--today`, else of whoever asks."""
    try:
        return compare(
            old,
            new,
            environment=run.env,
            today=run.today or date.today(),  # noqa: DTZ011
            tell_firings=tell_firings,
            heed_waivers=run.heed_waivers,
        )
    except SideError as problem:
        raise click.UsageError(str(problem)) from None


def tell(*lines: str) -> None:
    """Lines for people, beside what was asked for; nothing for an empty one."""
    for line in filter(None, lines):
        click.echo(line, err=True)


def advice(code: str) -> str:
    """What the manual says to do about a finding; an organisation's own has no page."""
    try:
        return manual.finding_page(code)[1].mend
    except manual.UnknownPageError:
        return ""


def exit_code(findings: Iterable[Diagnostic], run: Run) -> int:
    """1 when a finding that nobody answers for is at or above the threshold."""
    threshold = run.fail_on.rank
    counting = (finding for finding in findings if finding.waived is None)
    return EXIT_FINDINGS if any(finding.severity.rank <= threshold for finding in counting) else 0


def wants_color(run: Run, *, aside: bool = False) -> bool:
    """Whether what is printed has colours; a file has none."""
    if run.output_file is not None:
        return False
    if run.color != "auto":
        return run.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr if aside else sys.stdout).isatty()
