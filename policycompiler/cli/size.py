"""`policycompiler size`: slots, waits and promises of each worker."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler.cli import options, running, supposing
from policycompiler.model import WhatIf
from policycompiler.plan.lines import worker_lines
from policycompiler.report import size_steps, sizes


@click.command()
@options.sources
@click.option("--explain", "worker", metavar="WORKER", help="Show the arithmetic of this worker.")
@supposing.what_if
@options.for_sizes
def size(
    *,
    sources: tuple[Path, ...],
    worker: str | None,
    what_if: WhatIf,
    run: options.Run,
) -> None:
    """Show for each worker its load, slots, waits and promise, and how much traffic it can take.

    --rate-factor and --set change the workload before it is compiled, so the slots follow. Nothing is
    written.

    \b
    Examples:
      policycompiler size workloads
      policycompiler size workloads --explain shop.interactive.io
      policycompiler size workloads --rate-factor 2 --set tasks.shop.payments.refund.runtime.p99=30s
    """
    if worker is not None and run.output_format == "json":
        raise click.UsageError("--explain is text for people: use it without `json`")
    compilation = running.compiled(sources, run, what_if=what_if)
    if compilation.failed or compilation.plan is None:
        running.print_findings(compilation, run)
        sys.exit(running.EXIT_FINDINGS)
    lines = worker_lines(compilation.plan)
    if run.output_format == "json":
        text = sizes.sizes_json(lines)
    elif worker is None:
        text = sizes.sizes_text(lines, what_if)
    else:
        try:
            text = size_steps.steps_text(compilation.plan, lines, worker, what_if)
        except size_steps.UnknownWorkerError as unknown:
            running.tell(str(unknown))
            sys.exit(running.EXIT_FINDINGS)
    running.print_text(text, run)
