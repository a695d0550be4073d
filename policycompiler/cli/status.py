"""`policycompiler status`: queues, workers and schedules now."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from policycompiler.cli import comparing, options, repeating, running
from policycompiler.cli.looking import Deployment, deployment
from policycompiler.reality import schedule_file as schedules
from policycompiler.report.status import status_json, status_text
from policycompiler.sides import SideError
from policycompiler.status import look, state, unreached


@click.command()
@click.argument("build", required=False, metavar="[BUILD]")
@deployment
@click.option(
    "--schedule-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File in which beat keeps its last runs, such as celerybeat-schedule.",
)
@options.for_answers
def status(
    *,
    build: str | None,
    deployment: Deployment,
    schedule_file: Path | None,
    run: options.Run,
) -> None:
    """Show the queues, workers and schedules of a plan as they are now. It changes nothing.

    BUILD is a compiled folder, a plan file, or workload sources. Without BUILD, the sources of the project
    file are used.

    \b
    Examples:
      policycompiler status build
      policycompiler status build --watch --interval 5
    """
    side = comparing.with_plan(comparing.side(build, run, run.project.sources), run)
    code = 0
    for number in repeating.rounds(deployment.interval, watch=deployment.watch):
        try:
            live = look(side, os.environ, broker=deployment.broker, management=deployment.management)
            if number and sys.stdout.isatty():
                click.clear()
            if live.problem is not None:
                running.tell(*unreached(side, live))
                code = running.EXIT_FINDINGS
                continue
            stored = schedules.read(schedule_file) if schedule_file else ()
            now = datetime.now(UTC)
            found = state(side, live, stored, now)
        except (schedules.ScheduleFileError, SideError) as problem:
            raise click.UsageError(str(problem)) from None
        told = status_json(found) if run.output_format == "json" else status_text(found, now)
        running.print_text(told, run)
        code = 0
    sys.exit(code)
