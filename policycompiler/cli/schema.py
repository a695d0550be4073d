"""`policycompiler schema`: the JSON Schemas of inputs and outputs."""

from __future__ import annotations

import click

from policycompiler.emitters.base import shipped

WHAT = ("workload", "policy", "plan", "findings", "diff", "status", "dead-letters", "size", "load")


@click.command()
@click.argument("what", type=click.Choice(WHAT), default=WHAT[0])
def schema(what: str) -> None:
    """Print a JSON Schema: of a workload, a policy file, a plan, or the JSON that a command prints.

    \b
    Example:
      policycompiler schema workload
    """
    click.echo((shipped("schemas") / f"{what}.schema.json").read_text(encoding="utf-8"), nl=False)
