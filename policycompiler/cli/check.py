"""`policycompiler check`: findings, and no output."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import report
from policycompiler.cli import options, running
from policycompiler.findings import fixes


@click.command()
@options.sources
@click.option("--fix", is_flag=True, help="Apply the safe fixes to the workload files.")
@click.option("--diff", is_flag=True, help="With --fix: print the changes and write nothing.")
@options.common
def check(*, sources: tuple[Path, ...], fix: bool, diff: bool, run: options.Run) -> None:
    """Check workload files and print the findings.

    Without a SOURCE, the project file names the sources.

    \b
    Examples:
      policycompiler check workloads
      policycompiler check workloads --policy policy.yaml --fail-on warning
      policycompiler check workloads --fix --diff
    """
    if diff and not fix:
        raise click.UsageError("--diff shows the changes that --fix would make: add --fix")
    compilation = running.compiled(sources, run)
    if fix:
        others = [name for name in (None, *fixes.environments(compilation.document)) if name != run.env]
        elsewhere = [running.compiled(sources, run._replace(env=name)).diagnostics for name in others]
        fixed = fixes.fixed(compilation.document, compilation.diagnostics, elsewhere)
        if diff:
            for line in fixes.diff(compilation.document, fixed).splitlines():
                click.echo(report.clean(line))
        else:
            _write_fixes(fixed, run)
            compilation = running.compiled(sources, run)
    running.print_findings(compilation, run, aside=diff)
    sys.exit(running.exit_code(compilation.diagnostics, run))


def _write_fixes(fixed: fixes.Fixed, run: options.Run) -> None:
    """Write the fixed workload files, and print how many findings are fixed."""
    try:
        fixes.write(fixed)
    except OSError as problem:
        message = f"{problem.filename}: {problem.strerror}"
        raise click.UsageError(message) from None
    if not run.quiet:
        files = ", ".join(sorted(fixed.texts))
        click.echo(
            f"fixed {report.counted(fixed.findings, 'finding')}: {files}" if files else "nothing to fix",
            err=True,
        )
