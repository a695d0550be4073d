"""How a command runs and ends: compile the sources, print the findings, choose the exit code."""

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
from policycompiler.model import AS_WRITTEN, WhatIf

EXIT_FINDINGS = 1
EXIT_MISRULED = 2
"""A policy file or a baseline that cannot be read: nothing was checked."""
EXIT_NO_SOURCES = 3


def compiled(
    paths: tuple[Path, ...],
    run: Run,
    targets: tuple[str, ...] | None = (),
    *,
    aside: bool = False,
    what_if: WhatIf = AS_WRITTEN,
) -> Compilation:
    """Compile the sources of the command line or of the project. Ends the program when there are none.

    `targets` are the targets to generate, by default none; None stands for those of the policy file.
    `what_if` changes the workload before it is checked.
    """
    compilation = compile_workload(
        paths or run.project.sources,
        environment=run.env,
        policy=run.policy,
        baseline=run.baseline,
        targets=targets,
        today=run.today,
        apply_waivers=run.apply_waivers,
        what_if=what_if,
    )
    refuse_unread(compilation, run, aside=aside)
    return compilation


def refuse_unread(compilation: Compilation, run: Run, *, aside: bool = False) -> None:
    """End the program where nothing was checked."""
    if compilation.misruled:
        print_findings(compilation, run, aside=aside)
        sys.exit(EXIT_MISRULED)
    if compilation.nothing_read:
        click.echo("no workload files found: name a workload file or a folder with .yaml files", err=True)
        sys.exit(EXIT_NO_SOURCES)


def print_findings(
    compilation: Compilation, run: Run, more: Sequence[Diagnostic] = (), *, aside: bool = False
) -> None:
    """Print the findings in the chosen format; a quiet run without findings prints nothing.

    `aside`: standard output belongs to something else, so the findings go to standard error.
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
    """Print a result to standard output, or to the output file."""
    if run.output_file is None:
        click.echo(text, nl=False, color=True, err=aside)
        return
    try:
        run.output_file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{run.output_file}: {problem.strerror}"
        raise click.UsageError(message) from None


def tell(*lines: str) -> None:
    """Print lines for people to standard error; empty ones are skipped."""
    for line in filter(None, lines):
        click.echo(line, err=True)


def advice(code: str) -> str:
    """The remedy on the manual page of a finding; a custom finding has no page."""
    interrupts.importing(lambda: import_module("policycompiler.manual"))
    from policycompiler import manual  # noqa: PLC0415 - few formats show it

    try:
        return manual.finding_page(code)[1].mend
    except manual.UnknownPageError:
        return ""


def exit_code(findings: Iterable[Diagnostic], run: Run) -> int:
    """1 when a finding that is not waived is at or above the threshold."""
    threshold = run.fail_on.rank
    counting = (finding for finding in findings if finding.waived is None)
    return EXIT_FINDINGS if any(finding.severity.rank <= threshold for finding in counting) else 0


def wants_color(run: Run, *, aside: bool = False) -> bool:
    """Whether the output is colored; a file never is."""
    if run.output_file is not None:
        return False
    if run.color != "auto":
        return run.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr if aside else sys.stdout).isatty()
