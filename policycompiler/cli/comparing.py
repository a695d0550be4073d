"""How a command compares two sides: read each, report a side without a plan, compare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click

from policycompiler import load, report
from policycompiler.cli import running
from policycompiler.cli.options import Run
from policycompiler.comparison import Compared, compare, rollout_folder
from policycompiler.compiler import Compilation
from policycompiler.diagnostics import Diagnostic
from policycompiler.emitters.base import OutputFile
from policycompiler.findings import declarations
from policycompiler.findings.judge import judge_changes
from policycompiler.plan import UndecidedError
from policycompiler.report.review import doubts
from policycompiler.sides import GIT, Side, SideError, plan_path, read_side


def side(text: str | None, run: Run, default_paths: Sequence[Path], *, baseline: Path | None = None) -> Side:
    """Read one of the two sides."""
    try:
        return read_side(
            text,
            default_paths=default_paths,
            environment=run.env,
            policy=run.policy,
            baseline=baseline,
            today=run.today,
            apply_waivers=run.apply_waivers,
        )
    except SideError as problem:
        raise click.UsageError(str(problem)) from None


def old_side(old: str, run: Run, default_paths: Sequence[Path]) -> Side:
    """Read the old side. It may have no plan: see `tell_no_plan`."""
    found = side(old, run, default_paths)
    made: Sequence[Diagnostic] = found.compilation.diagnostics if found.compilation else ()
    if any(each.finding is load.UNKNOWN_ENVIRONMENT for each in made):
        # The new side has it, so the name is not a mistake.
        told = f"{found.label} has no environment `{run.env}`, so there is nothing to compare with"
        raise click.UsageError(report.clean(f"{told}; omit --env, or name an OLD that has the environment"))
    return found


def tell_no_plan(old: Side, run: Run) -> int:
    """Say on standard error why the old side has no plan, and return the exit code; 0 where it has one.

    A report beside the files is about the new side alone, so findings of the old side are not in it.
    """
    made = old.compilation
    if old.plan is not None or made is None:
        return 0
    if made.nothing_read:
        told = f"{old.label} has no workload files: name a workload file or a folder with .yaml files"
        running.tell(report.clean(told))
        return running.EXIT_NO_SOURCES
    running.tell(report.clean(f"{old.label} has errors, so it has no plan:"))
    prefix = f"{report.clean(old.label)}: " if old.label.startswith(GIT) else ""
    told = report.render(made.diagnostics, made.document, "concise", fail_on=run.fail_on)
    running.tell(*(f"{prefix}{line}" for line in told.splitlines()))
    return running.EXIT_MISRULED if made.misruled else running.EXIT_FINDINGS


def with_plan(found: Side, run: Run) -> Side:
    """A side that has a plan; else print its findings, and end the program."""
    if found.plan is None and found.compilation is not None:
        # The JSON schema of a review has no place for findings.
        aside = run.output_format == "json"
        if aside:
            run = run._replace(output_format="full", output_file=None)
        running.refuse_unread(found.compilation, run, aside=aside)
        click.echo(report.clean(f"{found.label} has errors, so it has no plan:"), err=True)
        running.print_findings(found.compilation, run, aside=aside)
        sys.exit(running.EXIT_FINDINGS)
    return found


def compared(old: Side, new: Side, run: Run, *, tell_firings: bool = False) -> Compared:
    """Compare two sides that have a plan, as of `--today`, else today."""
    try:
        return compare(
            old,
            new,
            environment=run.env,
            today=run.today or date.today(),  # noqa: DTZ011
            tell_firings=tell_firings,
            apply_waivers=run.apply_waivers,
        )
    except SideError as problem:
        raise click.UsageError(str(problem)) from None


def changes_from(old: Side, compilation: Compilation, run: Run) -> Compared:
    """What a compile changes; caveats of the comparison go to standard error."""
    new = Side("the new workload", compilation.plan, compilation.document, compilation)
    found = compared(old, new, run)
    running.tell(*doubts(found.reviewed))
    return found


def earlier(folder: Path) -> Side | None:
    """The plan that an earlier compile wrote into a folder; None if there is none that this version reads."""
    try:
        found = read_side(folder.as_posix()) if plan_path(folder.as_posix()) else None
    except SideError:
        return None
    return found if found is not None and found.plan is not None else None


def changed_declarations(
    old: Side, compilation: Compilation, run: Run, *, with_steps: bool
) -> list[Diagnostic]:
    """What RabbitMQ would refuse of queues that exist as the old plan declares them, with waivers.

    An old plan that a person edited may lack settings; it says nothing.
    """
    assert old.plan is not None
    assert compilation.plan is not None
    try:
        found = list(declarations.findings(old.plan, compilation.plan, with_steps=with_steps))
    except UndecidedError:
        return []
    waivers = compilation.waivers if run.apply_waivers else ()
    before = old.compilation.waivers if old.compilation else ()
    today = run.today or date.today()  # noqa: DTZ011
    return judge_changes(found, waivers, compilation.policy, today, before).judged


def rollout_files(found: Compared, old: Side, targets: Sequence[str]) -> list[OutputFile]:
    """The files of the rollout from an old side. Ends the program where no compile can write them."""
    try:
        return rollout_folder(found.reviewed, old, targets)
    except SideError as problem:
        raise click.UsageError(str(problem)) from None
