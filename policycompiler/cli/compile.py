"""`policycompiler compile`: write the output folder, or say how it differs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import __version__, output, report
from policycompiler.cli import options
from policycompiler.emitters import TARGETS, plan_file


@click.command("compile")
@options.sources
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Output folder [default: build]."
)
@click.option(
    "--target", "targets", type=click.Choice(TARGETS), multiple=True, help="Make only this; repeatable."
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the files of one --target, write nothing.")
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; fail if the folder is not up to date."
)
@click.option("--diff", "only_diff", is_flag=True, help="Write nothing; print what would change.")
@click.option("--force", is_flag=True, help="Overwrite files that were edited by hand.")
@options.common
def compile_(
    *,
    sources: tuple[Path, ...],
    folder: Path | None,
    targets: tuple[str, ...],
    to_stdout: bool,
    only_check: bool,
    only_diff: bool,
    force: bool,
    run: options.Run,
) -> None:
    """Compile workload files into a folder; it then holds these targets, and the plan, and nothing stale."""
    targets = targets or run.project.targets
    folder = folder or run.project.output
    if to_stdout and len(targets) != 1:
        raise click.UsageError("--stdout prints one target: add --target ID")
    aside = to_stdout or only_diff
    compilation = options.compiled(sources, run, targets or None, aside=aside)
    code = options.exit_code(compilation.diagnostics, run)
    if compilation.failed or code:
        options.print_findings(compilation, run, aside=aside)
        sys.exit(code or options.EXIT_FINDINGS)
    if to_stdout:
        # The files are the summary.
        options.print_findings(compilation, run._replace(quiet=True), aside=aside)
        shown = [(file.path, file.text) for file in compilation.files if file.path != plan_file.PATH]
        click.echo(report.files_text(shown), nl=False)
        sys.exit(0)
    files = [*compilation.files, output.manifest_file(compilation.files, compilation.sources, __version__)]
    if only_diff:
        click.echo(output.unified_diff(folder, files), nl=False)
    compare = only_check or only_diff
    comparison = output.compare(folder, files) if compare else output.write(folder, files, force=force)
    options.print_findings(compilation, run, () if only_check else comparison.problems, aside=aside)
    refused = not compare and bool(comparison.problems)
    if not run.quiet and not refused:
        beside = not only_check or run.output_format in report.DOCUMENT_FORMATS
        click.echo(report.comparison_text(folder, comparison, written=not compare), nl=False, err=beside)
    stale = only_check and not comparison.fresh
    sys.exit(options.EXIT_FINDINGS if stale or refused else 0)
