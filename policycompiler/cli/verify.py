"""`policycompiler verify`: where reality differs from the plan."""

from __future__ import annotations

import os
import sys
import time
from datetime import date

import click

from policycompiler.cli import comparing, options, repeating, running
from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import APP
from policycompiler.reality import live as reality
from policycompiler.report.metrics import metrics_text
from policycompiler.sides import SideError
from policycompiler.verification import Source, refused, rules_of
from policycompiler.verification import verify as verified
from policycompiler.verify import live as held


@click.command()
@click.argument("build", required=False, metavar="[BUILD]")
@click.option("--live", is_flag=True, help="Look at the running workers and the broker.")
@options.at_broker
@click.option(
    "--metrics",
    metavar="ADDRESS:PORT|FILE",
    help="Export the findings for Prometheus, at /metrics or in a file.",
)
@options.common
def verify(
    *,
    build: str | None,
    live: bool,
    broker: str | None,
    management: str | None,
    watch: bool,
    interval: float,
    metrics: str | None,
    run: options.Run,
) -> None:
    """Compare a plan with reality, and print the differences as findings. It changes nothing.

    BUILD is a compiled folder, a plan file, or workload sources. Waivers apply only to sources. Without
    BUILD, the sources of the project file are verified. With --watch, the findings are printed when they
    change.

    \b
    Examples:
      policycompiler verify workloads --live
      policycompiler verify build --live --broker redis://127.0.0.1:6379/0
      policycompiler verify workloads --live --watch --metrics :9000
    """
    sources: list[Source] = []
    if live:
        sources.append(
            lambda plan: held.findings(
                plan, reality.look(plan, os.environ, broker=broker, management=management)
            )
        )
    if not sources:
        raise click.UsageError("say what to compare with the plan: --live")
    side = comparing.with_plan(comparing.side(build, run, run.project.sources), run)
    rules = rules_of(run.policy, run.baseline)
    if rules.refused:
        running.refuse_unread(refused(rules), run)
    publish = repeating.publisher(metrics, watch=watch)
    code = 0
    told: list[Diagnostic] | None = None
    for _ in repeating.rounds(interval, watch=watch):
        start = time.monotonic()
        try:
            found = verified(side, rules, sources, run.today or date.today(), apply_waivers=run.apply_waivers)  # noqa: DTZ011
        except SideError as problem:
            raise click.UsageError(str(problem)) from None
        seconds = time.monotonic() - start
        assert found.plan is not None
        service = str(found.plan.get(APP, "service", ""))
        publish(metrics_text(service, found.diagnostics, now=time.time(), seconds=seconds))
        if told != found.diagnostics:
            running.print_findings(found, run)
        told = found.diagnostics
        code = running.exit_code(found.diagnostics, run)
    sys.exit(code)
