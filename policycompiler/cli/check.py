"""`policycompiler check`: the whole pipe without writing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import report
from policycompiler.cli import options, running
from policycompiler.findings import fixes


@click.command()
@options.sources
@click.option("--fix", is_flag=True, help="Mend in the workload files what can be mended without harm.")
@click.option("--diff", is_flag=True, help="With --fix: write nothing, print what would change.")
@options.common
def check(*, sources: tuple[Path, ...], fix: bool, diff: bool, run: options.Run) -> None:
    """Check workload files and print what is wrong with them."""
    if diff and not fix:
        raise click.UsageError("--diff shows what --fix would change: add --fix")
    compilation = running.compiled(sources, run)
    if fix:
        others = [name for name in (None, *fixes.environments(compilation.document)) if name != run.env]
        elsewhere = [running.compiled(sources, run._replace(env=name)).diagnostics for name in others]
        mended = fixes.mended(compilation.document, compilation.diagnostics, elsewhere)
        if diff:
            for line in fixes.diff(compilation.document, mended).splitlines():
                click.echo(report.clean(line))
        else:
            _write_fixes(mended, run)
            compilation = running.compiled(sources, run)
    running.print_findings(compilation, run, aside=diff)
    sys.exit(running.exit_code(compilation.diagnostics, run))


def _write_fixes(mended: fixes.Mended, run: options.Run) -> None:
    """Write mended workload files, and say how much that was."""
    try:
        fixes.write(mended)
    except OSError as problem:
        message = f"{problem.filename}: {problem.strerror}"
        raise click.UsageError(message) from None
    if not run.quiet:
        files = ", ".join(sorted(mended.texts))
        click.echo(f"mended {mended.findings}: {files}" if files else "nothing to mend", err=True)
