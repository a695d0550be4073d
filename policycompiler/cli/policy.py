"""`policycompiler policy`: the manual page of a policy."""

from __future__ import annotations

import click

from policycompiler import manual
from policycompiler.cli import options
from policycompiler.manual import text


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@options.answer_format
def policy(name: str | None, output_format: str) -> None:
    """Print the manual page of a policy: decisions, reasons, parameters. Without a NAME, list all policies.

    \b
    Examples:
      policycompiler policy
      policycompiler policy time-limits
    """
    try:
        pages = manual.policy_pages() if name is None else (manual.policy_page(name),)
    except manual.UnknownPageError as unknown:
        raise click.UsageError(str(unknown)) from None
    if output_format == "json":
        click.echo(text.policies_json(pages), nl=False)
    else:
        click.echo(text.policy_list() if name is None else text.policy_text(*pages), nl=False)
