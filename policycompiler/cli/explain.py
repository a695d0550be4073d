"""`policycompiler explain`: why a setting has its value."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler.cli import options, running
from policycompiler.report import explain as explanations
from policycompiler.report import overview as overviews


@click.command()
@click.argument("sources", nargs=-1, metavar="SOURCE... [ADDRESS]")
@options.for_answers
def explain(sources: tuple[str, ...], run: options.Run) -> None:
    """Say why a setting has its value, down to the line of the workload.

    ADDRESS is a scope and a key, such as task:shop.mail.send/acks_late or app/broker_pool_limit; a scope
    alone lists its settings; without an address, an overview of every task.
    """
    last = sources[-1] if sources else ""
    # Behind a source, what is no file can only be meant as an address.
    meant = explanations.is_address(last) or (len(sources) > 1 and not last.endswith((".yaml", ".yml")))
    address = last if meant and not Path(last).exists() else None
    paths = tuple(Path(source) for source in (sources[:-1] if address else sources))
    # Only an address is answered with the files that show it.
    compilation = running.compiled(paths, run, None if address else ())
    if compilation.failed or compilation.plan is None:
        running.print_findings(compilation, run)
        sys.exit(running.EXIT_FINDINGS)
    plan, document = compilation.plan, compilation.document
    if address is None:
        show_all = overviews.overview_json if run.output_format == "json" else overviews.overview
        click.echo(show_all(plan), nl=False)
        return
    files: dict[str, list[str]] = {}
    for file in compilation.files:
        for setting in file.addresses:
            files.setdefault(setting, []).append(file.path)
    show = explanations.explain_json if run.output_format == "json" else explanations.explain
    try:
        click.echo(show(plan, document, address, files), nl=False)
    except explanations.UnknownAddressError as unknown:
        click.echo(str(unknown), err=True)
        sys.exit(running.EXIT_FINDINGS)
