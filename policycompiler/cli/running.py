"""How a command runs and ends: its sources compiled, its findings printed, its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import click

from policycompiler import __version__, interrupts, report
from policycompiler.cli.options import Run
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic

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


def tell(*lines: str) -> None:
    """Lines for people, beside what was asked for; nothing for an empty one."""
    for line in filter(None, lines):
        click.echo(line, err=True)


def advice(code: str) -> str:
    """What the manual says to do about a finding; an organisation's own has no page."""
    interrupts.importing(lambda: import_module("policycompiler.manual"))
    from policycompiler import manual  # noqa: PLC0415 - few formats show it

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
