"""`policycompiler size`: slots, waits and promises of each worker."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler.cli import measuring, options, plotting, running, supposing
from policycompiler.model import AS_WRITTEN, WhatIf
from policycompiler.plan.lines import worker_lines
from policycompiler.report import size_steps, sizes


@click.command()
@options.sources
@click.option("--explain", "worker", metavar="WORKER", help="Show the arithmetic of this worker.")
@supposing.what_if
@measuring.measured
@plotting.plotted
@options.for_sizes
def size(
    *,
    sources: tuple[Path, ...],
    worker: str | None,
    what_if: WhatIf,
    measured: measuring.Measuring,
    picture: Path | None,
    run: options.Run,
) -> None:
    """Show for each worker its load, slots, waits and promise, and how much traffic it can take.

    --rate-factor, --set and --budget change the workload before it is compiled, so the slots follow.
    Nothing is written.

    --measured shows where declared rates and run times disagree with measured ones, and the edit to make.

    --plot draws the waits of each worker against its traffic; with --explain, of this worker only.

    \b
    Examples:
      policycompiler size workloads --explain shop.interactive.io
      policycompiler size workloads --rate-factor 2 --set tasks.shop.payments.refund.runtime.p99=30s
      policycompiler size workloads --budget memory=8GiB
      policycompiler size workloads --measured http://prometheus:9090
    """
    if worker is not None and run.output_format == "json":
        raise click.UsageError("--explain is text for people: use it without `json`")
    if measured.wanted and (worker is not None or picture is not None or what_if != AS_WRITTEN):
        told = "--measured compares what is written: use it without --explain, --plot and other numbers"
        raise click.UsageError(told)
    compilation = running.compiled(sources, run, what_if=what_if)
    if compilation.failed or compilation.plan is None:
        running.print_findings(compilation, run)
        sys.exit(running.EXIT_FINDINGS)
    lines = worker_lines(compilation.plan)
    if measured.wanted:
        text = measuring.text(
            measured, compilation, lines, run, lambda edited: running.compiled(sources, run, what_if=edited)
        )
    elif run.output_format == "json":
        text = sizes.sizes_json(lines)
    elif worker is None:
        text = sizes.sizes_text(compilation.plan, lines, what_if)
    else:
        try:
            text = size_steps.steps_text(compilation.plan, lines, worker, what_if)
        except size_steps.UnknownWorkerError as unknown:
            running.tell(str(unknown))
            sys.exit(running.EXIT_FINDINGS)
    if picture is not None:
        shown = [each for each in lines if worker in (None, each.worker)]
        plotting.write(picture, compilation.plan, shown, what_if, run)
    running.print_text(text, run)
