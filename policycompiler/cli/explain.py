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
    """Show why a setting has its value: the policy, its reason, and the lines of the workload.

    ADDRESS is a scope and a key, such as task:shop.mail.send/acks_late or app/broker_pool_limit. A scope
    alone lists its settings. Without an address, the command prints an overview of every task.

    \b
    Examples:
      policycompiler explain workloads
      policycompiler explain workloads task:shop.payments.refund/time_limit
    """
    last = sources[-1] if sources else ""
    # After a source, a word that names no file must be an address.
    meant = explanations.is_address(last) or (len(sources) > 1 and not last.endswith((".yaml", ".yml")))
    address = last if meant and not Path(last).exists() else None
    paths = tuple(Path(source) for source in (sources[:-1] if address else sources))
    # The answer to an address names the files that use it, so they are generated.
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
    try:
        if run.output_format == "json":
            text = explanations.explain_json(plan, document, address, files)
        else:
            color = running.wants_color(run)
            text = explanations.explain(plan, document, address, files, color=color)
    except explanations.UnknownAddressError as unknown:
        click.echo(str(unknown), err=True)
        sys.exit(running.EXIT_FINDINGS)
    running.print_text(text, run)
