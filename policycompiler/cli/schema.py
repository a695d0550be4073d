"""`policycompiler schema`: the JSON Schemas of what a user writes and of what the program prints."""

from __future__ import annotations

import click

from policycompiler.emitters.base import shipped

WHAT = ("workload", "policy", "plan", "findings", "diff")


@click.command()
@click.argument("what", type=click.Choice(WHAT), default=WHAT[0])
def schema(what: str) -> None:
    """Print a JSON Schema: of a workload or policy file, of plan.json, or of findings or a diff as JSON."""
    click.echo((shipped("schemas") / f"{what}.schema.json").read_text(encoding="utf-8"), nl=False)
