"""`policycompiler compile`: write the output folder, or show how it differs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path

import click

from policycompiler import __version__, interrupts, output, report
from policycompiler.cli import options, running
from policycompiler.compiler import Compilation
from policycompiler.diagnostics import Diagnostic
from policycompiler.emitters import TARGETS, plan_file
from policycompiler.emitters.base import OutputFile
from policycompiler.sides import told_if_inside


@click.command("compile")
@options.sources
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Output folder [default: build]."
)
@click.option(
    "--target",
    "targets",
    type=click.Choice(TARGETS),
    multiple=True,
    help="Generate only this target; repeatable.",
)
@click.option(
    "--stdout", "to_stdout", is_flag=True, help="Print the files of one --target and write nothing."
)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; fail if the output folder is out of date."
)
@click.option("--diff", "only_diff", is_flag=True, help="Write nothing; print the changes as a unified diff.")
@click.option("--force", is_flag=True, help="Overwrite generated files that were edited by hand.")
@click.option(
    "--accept",
    "accepted",
    type=click.Choice(["queue-args-change"]),
    multiple=True,
    help="Accept that RabbitMQ refuses a queue that still exists as the earlier plan declares it.",
)
@click.option(
    "--rollout",
    "old",
    metavar="OLD",
    help="Also write the rollout steps from OLD to rollout/ in the output folder; OLD is as for `diff`.",
)
@options.common
def compile_(  # noqa: PLR0913 - an argument an option
    *,
    sources: tuple[Path, ...],
    folder: Path | None,
    targets: tuple[str, ...],
    to_stdout: bool,
    only_check: bool,
    only_diff: bool,
    force: bool,
    accepted: tuple[str, ...],
    old: str | None,
    run: options.Run,
) -> None:
    """Compile workload files into the output folder: the targets, the plan, and no stale files.

    Without a SOURCE, the project file names the sources.

    \b
    Examples:
      policycompiler compile workloads
      policycompiler compile workloads --output build --check
      policycompiler compile workloads --target launch --stdout
    """
    folder = folder or run.project.output
    targets = targets or run.project.targets
    if to_stdout:
        _print_files(sources, targets, old, run)
        return
    if old is not None and (wrong := told_if_inside(old, folder)):
        raise click.UsageError(wrong)
    compilation = _compiled(sources, targets, run, aside=only_diff)
    rollout: list[OutputFile] = []
    changes: list[Diagnostic] = []
    if old is not None:
        paths = sources or run.project.sources
        rollout, changes = _rollout(old, paths, compilation, targets, run, aside=only_diff, accepted=accepted)
    elif not accepted:
        changes = _changed_declarations(folder, compilation, run, aside=only_diff)
    made = [*compilation.files, *rollout]
    files = [*made, output.manifest_file(made, compilation.sources, __version__)]
    if only_diff:
        click.echo(output.unified_diff(folder, files), nl=False)
    write = not (only_check or only_diff)
    comparison = output.write(folder, files, force=force) if write else output.compare(folder, files)
    # `--check` compares; whether the folder can be written does not matter to it.
    problems = () if only_check else comparison.problems
    running.print_findings(compilation, run, (*changes, *problems), aside=only_diff)
    if write and problems:
        sys.exit(running.EXIT_FINDINGS)
    if not run.quiet:
        # The comparison is the answer of `--check`, but a JSON document must stand alone.
        beside = not only_check or run.output_format in report.DOCUMENT_FORMATS
        click.echo(report.comparison_text(folder, comparison, written=write), nl=False, err=beside)
    if only_check and not comparison.fresh:
        sys.exit(running.EXIT_FINDINGS)


def _compiled(
    sources: tuple[Path, ...], targets: tuple[str, ...], run: options.Run, *, aside: bool
) -> Compilation:
    """Compile the sources in memory. Ends the program where a finding prevents output."""
    compilation = running.compiled(sources, run, targets or None, aside=aside)
    _end_if_refused(compilation, run, aside=aside)
    return compilation


def _end_if_refused(
    compilation: Compilation, run: options.Run, changes: Sequence[Diagnostic] = (), *, aside: bool
) -> None:
    """Print the findings and end the program where one of them fails the command."""
    if compilation.failed or running.exit_code((*compilation.diagnostics, *changes), run):
        running.print_findings(compilation, run, changes, aside=aside)
        if not run.quiet:
            running.tell("nothing was written")
        sys.exit(running.EXIT_FINDINGS)


def _print_files(
    sources: tuple[Path, ...], targets: tuple[str, ...], old: str | None, run: options.Run
) -> None:
    """Print the files of one target to standard output, and the findings to standard error."""
    if len(targets) != 1:
        raise click.UsageError("--stdout prints one target: add --target ID")
    if old is not None:
        raise click.UsageError("--stdout prints one target, and --rollout writes files: use one of them")
    compilation = _compiled(sources, targets, run, aside=True)
    # The files are the summary.
    running.print_findings(compilation, run._replace(quiet=True), aside=True)
    shown = [(file.path, file.text) for file in compilation.files if file.path != plan_file.PATH]
    click.echo(report.files_text(shown), nl=False)


def _changed_declarations(
    folder: Path, compilation: Compilation, run: options.Run, *, aside: bool
) -> list[Diagnostic]:
    """What RabbitMQ would refuse of queues that the plan in the output folder declares differently.

    Ends the program where such a change fails the command. A folder without a plan of ours says nothing.
    """
    assert compilation.plan is not None
    written = next((file for file in compilation.files if file.path == plan_file.PATH), None)
    path = folder / plan_file.PATH
    if not compilation.plan.broker.declarations or written is None or not path.is_file():
        return []
    if path.read_bytes() == b"".join(written.parts):
        return []
    interrupts.importing(lambda: import_module("policycompiler.cli.comparing"))
    from policycompiler.cli import comparing  # noqa: PLC0415 - reviews are many modules, and few compiles have one

    before = comparing.earlier(folder)
    if before is None:
        return []
    changes = comparing.changed_declarations(before, compilation, run, with_steps=False)
    _end_if_refused(compilation, run, changes, aside=aside)
    return changes


def _rollout(
    old: str,
    paths: Sequence[Path],
    compilation: Compilation,
    targets: tuple[str, ...],
    run: options.Run,
    *,
    aside: bool,
    accepted: Collection[str] = (),
) -> tuple[list[OutputFile], list[Diagnostic]]:
    """The files of the rollout from an old side, and the findings about its changes.

    Ends the program where the old side has no plan, or a change fails the command.
    """
    interrupts.importing(lambda: import_module("policycompiler.cli.comparing"))
    from policycompiler.cli import comparing  # noqa: PLC0415 - reviews are many modules, and few compiles have one

    before = comparing.old_side(old, run, paths)
    if code := comparing.tell_no_plan(before, run):
        if run.output_format in report.DOCUMENT_FORMATS:
            running.print_findings(compilation, run, aside=aside)
        sys.exit(code)
    found = comparing.changes_from(before, compilation, run)
    changes = found.answers.judged
    if not accepted:
        changes = [*changes, *comparing.changed_declarations(before, compilation, run, with_steps=True)]
    _end_if_refused(compilation, run, changes, aside=aside)
    targets = targets or tuple(compilation.policy.targets or TARGETS)
    return comparing.rollout_files(found, before, targets), changes
