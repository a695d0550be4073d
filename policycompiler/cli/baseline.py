"""`policycompiler baseline`: today's findings, so that only new ones are shown."""

from __future__ import annotations

from pathlib import Path

import click

from policycompiler.cli import options, running
from policycompiler.findings import baseline as baselines
from policycompiler.findings.judge import can_be_hidden, is_locked

DEFAULT = Path("policycompiler-baseline.json")


@click.group()
def baseline() -> None:
    """Record the findings of today, for `--baseline FILE` to hide."""


@baseline.command()
@options.sources
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT,
    show_default=True,
    help="Where to write it.",
)
@options.for_answers
def write(sources: tuple[Path, ...], file: Path, run: options.Run) -> None:
    """Write what `check` finds now into a file.

    What no output can be made from is never hidden, and neither is what the policy file locks.
    """
    # The baseline of the project must not hide what the new one is to hold.
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
    click.echo(f"wrote {file}: {known} {'finding' if known == 1 else 'findings'}", err=True)
    if locked:
        told = f"not in it, as the policy file locks what is found: {locked}"
        click.echo(told, err=True)
