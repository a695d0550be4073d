"""`policycompiler check`: the whole pipe without writing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler.cli import options


@click.command()
@options.sources
@options.common
def check(sources: tuple[Path, ...], run: options.Run) -> None:
    """Check workload files and print what is wrong with them."""
    compilation = options.compiled(sources, run)
    options.print_findings(compilation, run)
    sys.exit(options.exit_code(compilation.diagnostics, run))
