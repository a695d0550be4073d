"""`policycompiler finding`: the manual page of a finding."""

from __future__ import annotations

import click

from policycompiler import manual
from policycompiler.cli import options
from policycompiler.manual import text


@click.command()
@click.argument("name", required=False, metavar="[CODE|NAME]")
@options.answer_format
def finding(name: str | None, output_format: str) -> None:
    """Print the manual page of a finding: meaning, remedy, waiver. Without a CODE, list all findings.

    \b
    Examples:
      policycompiler finding
      policycompiler finding PC204
    """
    try:
        found = manual.all_findings() if name is None else (manual.finding_page(name),)
    except manual.UnknownPageError as unknown:
        raise click.UsageError(str(unknown)) from None
    if output_format == "json":
        click.echo(text.findings_json(found), nl=False)
    else:
        click.echo(text.finding_list() if name is None else text.finding_text(*found[0]), nl=False)
