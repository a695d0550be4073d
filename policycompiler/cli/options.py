"""Arguments and options that several commands share, and how each command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from policycompiler import report
from policycompiler.cli.project import Project, read_project
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters import TARGETS

EXIT_FINDINGS = 1
EXIT_NO_SOURCES = 3

Command = TypeVar("Command", bound=Callable[..., Any])

sources = click.argument("sources", nargs=-1, type=click.Path(path_type=Path))


def common(command: Command) -> Command:
    """The options of every command that compiles."""
    for option in reversed(
        (
            click.option("--env", metavar="NAME", help="Apply environments.NAME of each file."),
            click.option(
                "--fail-on",
                type=click.Choice([severity.value for severity in Severity]),
                default=Severity.ERROR.value,
                show_default=True,
                help="Mildest finding that fails the command.",
            ),
            click.option(
                "--output-format",
                type=click.Choice(report.FORMATS),
                default="full",
                show_default=True,
                help="How findings are printed.",
            ),
            click.option(
                "--output-file",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Print findings into this file instead of standard output.",
            ),
            click.option(
                "--color",
                type=click.Choice(["auto", "always", "never"]),
                default="auto",
                show_default=True,
                help="Colour findings; auto means on a terminal. NO_COLOR and FORCE_COLOR are honoured.",
            ),
            click.option("-q", "--quiet", is_flag=True, help="Print findings only, no summary, no progress."),
        )
    ):
        command = option(command)
    return command


class Run(NamedTuple):
    """What the common options ask for."""

    env: str | None
    fail_on: str
    output_format: report.OutputFormat
    output_file: Path | None
    color: str
    quiet: bool


def compiled(paths: tuple[Path, ...], run: Run, targets: tuple[str, ...] = TARGETS) -> Compilation:
    """Compile what the command line or the project names. Ends the program when that is nothing."""
    project = read_project()
    compilation = compile_workload(
        paths or project.sources,
        # An empty name comes of an empty variable, and is no environment either.
        environment=project.env if run.env is None else run.env,
        targets=targets,
    )
    if not compilation.document.texts and not compilation.diagnostics:
        click.echo("nothing to read: name a workload file or a folder with .yaml files", err=True)
        sys.exit(EXIT_NO_SOURCES)
    return compilation


def print_findings(compilation: Compilation, run: Run, more: tuple[Diagnostic, ...] = ()) -> None:
    """Print the findings as asked; a quiet run without any prints nothing."""
    findings = [*compilation.diagnostics, *more]
    if run.quiet and not findings and run.output_format != "json":
        return
    text = report.render(
        findings,
        compilation.document,
        run.output_format,
        color=run.output_file is None and _wants_color(run.color),
        plan=compilation.plan,
    )
    if run.output_file is None:
        click.echo(text, nl=False, color=True)
        return
    try:
        run.output_file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{run.output_file}: {problem.strerror}"
        raise click.UsageError(message) from None


def exit_code(findings: list[Diagnostic] | tuple[Diagnostic, ...], run: Run) -> int:
    """1 when a finding is at or above the threshold."""
    threshold = Severity(run.fail_on).rank
    return EXIT_FINDINGS if any(finding.severity.rank <= threshold for finding in findings) else 0


def project() -> Project:
    """The project's defaults."""
    return read_project()


def _wants_color(choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
