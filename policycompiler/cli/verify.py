"""`policycompiler verify`: where reality differs from the plan."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

import click

from policycompiler import report
from policycompiler.cli import comparing, options, repeating, running
from policycompiler.cli.looking import Application, Deployment, application, deployment
from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import APP
from policycompiler.reality.code import CodeError
from policycompiler.report.metrics import metrics_text
from policycompiler.sides import SideError
from policycompiler.verification import Source, of_code, of_deployment, of_files, refused, rules_of
from policycompiler.verification import verify as verified
from policycompiler.verify.files import MANIFEST


@click.command()
@click.argument("build", required=False, metavar="[BUILD]")
@application
@click.option("--require-all", is_flag=True, help="Fail if a program that judges files is missing.")
@click.option("--live", is_flag=True, help="Look at the running workers and the broker.")
@deployment
@click.option(
    "--store", metavar="URL", help="With --live: URL of the store of guards [default: as in the plan]."
)
@click.option(
    "--metrics",
    metavar="ADDRESS:PORT|FILE",
    help="Export the findings for Prometheus, at /metrics or in a file.",
)
@options.common
def verify(
    *,
    build: str | None,
    application: Application,
    require_all: bool,
    live: bool,
    deployment: Deployment,
    store: str | None,
    metrics: str | None,
    run: options.Run,
) -> None:
    """Compare a plan with reality, and print the differences as findings. It changes nothing.

    BUILD is a compiled folder, a plan file, or workload sources. Waivers apply only to sources. Without
    BUILD, the sources of the project file are verified. A compiled folder alone: the real readers of its
    files judge them. With --app: the code of the application, loaded in its own interpreter. With --live: the
    workers, the broker, and the store of guards. With --watch, the findings are printed when they change.

    \b
    Examples:
      policycompiler verify build
      policycompiler verify build --app shop.celery_app
      policycompiler verify workloads --live
      policycompiler verify build --live --broker redis://127.0.0.1:6379/0
      policycompiler verify workloads --live --watch --metrics :9000
    """
    folder = Path(build) if build and (Path(build) / MANIFEST).is_file() else None
    sources: list[Source] = []
    if folder is not None and (require_all or not (live or application.apps)):
        sources.append(of_files(folder, require_all=require_all))
    if application.apps:
        sources.append(
            of_code(
                application.apps,
                application.python,
                folder,
                folder=application.folder,
                django=application.django,
                source=application.source,
            )
        )
    if live:
        sources.append(of_deployment(deployment.broker, deployment.management, store))
    if not sources:
        raise click.UsageError("name a compiled folder, or what to compare with the plan: --app, --live")
    side = comparing.with_plan(comparing.side(build, run, run.project.sources), run)
    rules = rules_of(run.policy, run.baseline)
    if rules.refused:
        running.refuse_unread(refused(rules), run)
    publish = repeating.publisher(metrics, watch=deployment.watch)
    code = 0
    told: list[Diagnostic] | None = None
    for _ in repeating.rounds(deployment.interval, watch=deployment.watch):
        start = time.monotonic()
        try:
            found = verified(side, rules, sources, run.today or date.today(), apply_waivers=run.apply_waivers)  # noqa: DTZ011
        except (SideError, CodeError) as problem:
            raise click.UsageError(report.clean(str(problem))) from None
        seconds = time.monotonic() - start
        assert found.plan is not None
        service = str(found.plan.get(APP, "service", ""))
        publish(metrics_text(service, found.diagnostics, now=time.time(), seconds=seconds))
        if told != found.diagnostics:
            running.print_findings(found, run)
        told = found.diagnostics
        code = running.exit_code(found.diagnostics, run)
    sys.exit(code)
