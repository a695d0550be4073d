"""`policycompiler check`: the whole pipe without writing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import fixes
from policycompiler.cli import options


@click.command()
@options.sources
@click.option("--fix", is_flag=True, help="Mend in the workload files what can be mended without harm.")
@click.option("--diff", is_flag=True, help="With --fix: write nothing, print what would change.")
@options.common
def check(*, sources: tuple[Path, ...], fix: bool, diff: bool, run: options.Run) -> None:
    """Check workload files and print what is wrong with them."""
    if diff and not fix:
        raise click.UsageError("--diff shows what --fix would change: add --fix")
    compilation = options.compiled(sources, run)
    if fix:
        mended = fixes.mended(compilation.document, compilation.diagnostics)
        if diff:
            click.echo(fixes.diff(compilation.document, mended), nl=False)
        else:
            options.write_fixes(mended, run)
            compilation = options.compiled(sources, run)
    options.print_findings(compilation, run, aside=diff)
    sys.exit(options.exit_code(compilation.diagnostics, run))
