"""`policycompiler baseline`: record the current findings, so that only new ones are shown."""

from __future__ import annotations

from pathlib import Path

import click

from policycompiler import report
from policycompiler.cli import options, running
from policycompiler.findings import baseline as baselines
from policycompiler.findings.judge import can_be_hidden, is_locked

DEFAULT = Path("policycompiler-baseline.json")


@click.group()
def baseline() -> None:
    """Record the current findings, so that `--baseline FILE` hides them.

    \b
    Example:
      policycompiler baseline write workloads
    """


@baseline.command()
@options.sources
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT,
    show_default=True,
    help="File to write.",
)
@options.for_answers
def write(sources: tuple[Path, ...], file: Path, run: options.Run) -> None:
    """Write the current findings of `check` to a file.

    A baseline never hides a finding that prevents output, nor one that the policy file locks.

    \b
    Example:
      policycompiler baseline write workloads --output known-findings.json
    """
    # A finding that the current baseline hides still belongs in the new one.
    compilation = running.compiled(sources, run._replace(baseline=None))
    rules = compilation.policy
    hidden = [each for each in compilation.diagnostics if can_be_hidden(each, rules)]
    locked = sum(each.waived is None and is_locked(each.finding, rules) for each in compilation.diagnostics)
    text = baselines.to_json(hidden)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as problem:
        message = f"{file}: {problem.strerror}"
        raise click.UsageError(message) from None
    known = sum(baselines.read(file)[0].entries.values())
    click.echo(f"wrote {file}: {report.counted(known, 'finding')}", err=True)
    if locked:
        told = f"left out, because the policy file locks them: {report.counted(locked, 'finding')}"
        click.echo(told, err=True)
