"""`policycompiler schema`: the JSON Schema of what a user may write."""

from __future__ import annotations

import click

from policycompiler.model import workload_schema

SCHEMAS = {"workload": workload_schema}


@click.command()
@click.argument("what", type=click.Choice(list(SCHEMAS)), default="workload")
def schema(what: str) -> None:
    """Print the JSON Schema of a workload file, for editors."""
    click.echo(SCHEMAS[what](), nl=False)
