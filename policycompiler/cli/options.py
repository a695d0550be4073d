"""Arguments and options that several commands share, and how each command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import click

from policycompiler import __version__, fixes, manual, report
from policycompiler.cli.project import Project, read_project
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Severity

EXIT_FINDINGS = 1
EXIT_MISRULED = 2
"""A policy file or a baseline that cannot be read: nothing was looked at, so nothing is known to be wrong."""
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
    policy: Path | None
    baseline: Path | None
    today: date | None
    heed_waivers: bool


_SHARED = (
    *("env", "output_format", "color", "fail_on", "output_file", "quiet"),
    *("policy", "baseline", "today", "no_waivers"),
)

sources = click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="SOURCE...")

_env = click.option("--env", metavar="NAME", help="Apply environments.NAME of each file.")
_policy = click.option(
    "--policy", type=click.Path(path_type=Path, dir_okay=False), help="The policy file of the platform."
)
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
        _policy,
        click.option(
            "--baseline",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Hide the findings that this file knows; `baseline write` makes one.",
        ),
        click.option(
            "--today",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="YYYY-MM-DD",
            help="The day on which waivers are held valid [default: today].",
        ),
        click.option("--no-waivers", is_flag=True, help="Take no waiver into account."),
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
    return _with_run(command, _env, _policy, answer_format, _color)


def _output_format(formats: Sequence[str], help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--output-format", type=click.Choice(formats), default=formats[0], show_default=True, help=help_text
    )


answer_format = _output_format(("full", "json"), "For people or for machines.")


def _with_run(command: Command, *options: Callable[[Command], Command]) -> Command:
    @wraps(command)
    def with_run(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        shared = {name: given.pop(name, None) for name in _SHARED}
        command(run=_run(read_project(), shared), **given)

    wrapped: Command = with_run
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _run(project: Project, given: Mapping[str, Any]) -> Run:
    """What was asked for; a command that lacks an option gives None for it."""
    # An empty name comes of an empty variable, and is no environment either.
    return Run(
        project,
        env=project.env if given["env"] is None else given["env"],
        output_format=given["output_format"],
        color=given["color"],
        fail_on=Severity(given["fail_on"] or Severity.ERROR),
        output_file=given["output_file"],
        quiet=bool(given["quiet"]),
        policy=given["policy"] or project.policy,
        baseline=given["baseline"] or project.baseline,
        today=given["today"] and given["today"].date(),
        heed_waivers=not given["no_waivers"],
    )


def compiled(
    paths: tuple[Path, ...], run: Run, targets: tuple[str, ...] | None = None, *, aside: bool = False
) -> Compilation:
    """Compile what the command line or the project names. Ends the program when that is nothing."""
    compilation = compile_workload(
        paths or run.project.sources,
        environment=run.env,
        policy=run.policy,
        baseline=run.baseline,
        targets=targets,
        today=run.today,
        heed_waivers=run.heed_waivers,
    )
    if compilation.misruled:
        print_findings(compilation, run, aside=aside)
        sys.exit(EXIT_MISRULED)
    if not compilation.document.per_file and not compilation.diagnostics:
        click.echo("nothing to read: name a workload file or a folder with .yaml files", err=True)
        sys.exit(EXIT_NO_SOURCES)
    return compilation


def write_fixes(mended: fixes.Mended, run: Run) -> None:
    """Write mended workload files, and say how much that was."""
    try:
        fixes.write(mended)
    except OSError as problem:
        message = f"{problem.filename}: {problem.strerror}"
        raise click.UsageError(message) from None
    if not run.quiet:
        files = ", ".join(sorted(mended.texts))
        click.echo(f"mended {mended.findings}: {files}" if files else "nothing to mend", err=True)


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
        color=run.output_file is None and _wants_color(run.color, aside=aside),
        plan=compilation.plan,
        hidden=compilation.hidden,
        fail_on=run.fail_on,
        program=report.Program(__version__, _advice),
    )
    if run.output_file is None:
        click.echo(text, nl=False, color=True, err=aside)
        return
    try:
        run.output_file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{run.output_file}: {problem.strerror}"
        raise click.UsageError(message) from None


def _advice(code: str) -> str:
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


def _wants_color(choice: str, *, aside: bool) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stderr if aside else sys.stdout).isatty()
