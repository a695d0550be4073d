"""`policycompiler check`: the whole pipe without writing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import fixes, report
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
        others = [name for name in (None, *fixes.environments(compilation.document)) if name != run.env]
        elsewhere = [options.compiled(sources, run._replace(env=name)).diagnostics for name in others]
        mended = fixes.mended(compilation.document, compilation.diagnostics, elsewhere)
        if diff:
            for line in fixes.diff(compilation.document, mended).splitlines():
                click.echo(report.clean(line))
        else:
            options.write_fixes(mended, run)
            compilation = options.compiled(sources, run)
    options.print_findings(compilation, run, aside=diff)
    sys.exit(options.exit_code(compilation.diagnostics, run))
