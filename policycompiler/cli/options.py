"""Arguments and options that several commands share, and how each command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import NamedTuple, TypeAlias

import click

from policycompiler import report
from policycompiler.cli.project import Project, read_project
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters import TARGETS

EXIT_FINDINGS = 1
EXIT_NO_SOURCES = 3

Command: TypeAlias = Callable[..., None]


class Run(NamedTuple):
    """What the shared options ask for, and the project's defaults; `env` is the one that counts."""

    project: Project
    env: str | None
    output_format: report.OutputFormat
    color: str
    fail_on: Severity
    output_file: Path | None
    quiet: bool


sources = click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="SOURCE...")

_env = click.option("--env", metavar="NAME", help="Apply environments.NAME of each file.")
_color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour findings; auto means on a terminal. NO_COLOR and FORCE_COLOR are honoured.",
)


def common(command: Command) -> Command:
    """The options of every command that is about findings; it gets them as `run`."""
    return _with_run(
        command,
        _env,
        click.option(
            "--fail-on",
            type=click.Choice([severity.value for severity in Severity]),
            default=Severity.ERROR.value,
            show_default=True,
            help="Mildest finding that fails the command.",
        ),
        _output_format(report.FORMATS, "How findings are printed."),
        click.option(
            "--output-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Print findings into this file instead of standard output.",
        ),
        _color,
        click.option("-q", "--quiet", is_flag=True, help="Print findings only, no summary, no progress."),
    )


def for_answers(command: Command) -> Command:
    """The options of a command that answers a question, and prints findings only where it cannot."""
    return _with_run(command, _env, _output_format(("full", "json"), "For people or for machines."), _color)


def _output_format(formats: Sequence[str], help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--output-format", type=click.Choice(formats), default=formats[0], show_default=True, help=help_text
    )


def _with_run(command: Command, *options: Callable[[Command], Command]) -> Command:
    @wraps(command)
    def with_run(
        *,
        env: str | None,
        output_format: report.OutputFormat,
        color: str,
        fail_on: str = Severity.ERROR.value,
        output_file: Path | None = None,
        quiet: bool = False,
        **own: object,
    ) -> None:
        project = read_project()
        # An empty name comes of an empty variable, and is no environment either.
        env = project.env if env is None else env
        run = Run(project, env, output_format, color, Severity(fail_on), output_file, quiet)
        command(run=run, **own)

    wrapped: Command = with_run
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def compiled(paths: tuple[Path, ...], run: Run, targets: tuple[str, ...] = TARGETS) -> Compilation:
    """Compile what the command line or the project names. Ends the program when that is nothing."""
    compilation = compile_workload(paths or run.project.sources, environment=run.env, targets=targets)
    if not compilation.document.texts and not compilation.diagnostics:
        click.echo("nothing to read: name a workload file or a folder with .yaml files", err=True)
        sys.exit(EXIT_NO_SOURCES)
    return compilation


def print_findings(
    compilation: Compilation, run: Run, more: Sequence[Diagnostic] = (), *, aside: bool = False
) -> None:
    """Print the findings as asked; a quiet run without any prints nothing.

    `aside` says that standard output belongs to something else: they go to standard error.
    """
    findings = [*compilation.diagnostics, *more]
    if run.quiet and not findings and run.output_format != "json":
        return
    text = report.render(
        findings,
        compilation.document,
        run.output_format,
        color=run.output_file is None and _wants_color(run.color, aside=aside),
        plan=compilation.plan,
    )
    if run.output_file is None:
        click.echo(text, nl=False, color=True, err=aside)
        return
    try:
        run.output_file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{run.output_file}: {problem.strerror}"
        raise click.UsageError(message) from None


def exit_code(findings: Iterable[Diagnostic], run: Run) -> int:
    """1 when a finding is at or above the threshold."""
    threshold = run.fail_on.rank
    return EXIT_FINDINGS if any(finding.severity.rank <= threshold for finding in findings) else 0


def _wants_color(choice: str, *, aside: bool) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr if aside else sys.stdout).isatty()
