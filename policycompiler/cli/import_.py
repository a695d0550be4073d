"""`policycompiler import`: a running application as a workload that changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from policycompiler import adoption, report
from policycompiler.cli import options, running
from policycompiler.cli.looking import Application, application
from policycompiler.model.units import ServiceName
from policycompiler.reality.code import CodeError
from policycompiler.reality.measured import MeasuredError
from policycompiler.report.adoption import LEFT_OUT, counts, every_left, left_lines, written


def _files(name: str, help_text: str) -> Callable[[Any], Any]:
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(name, type=kind, multiple=True, help=f"{help_text}; repeatable.")


def _service(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """A name that a workload can have."""
    try:
        return None if given is None else TypeAdapter(ServiceName).validate_python(given)
    except ValidationError as problem:
        raise click.BadParameter(problem.errors()[0]["msg"], context, parameter) from None


@click.command("import")
@application
@click.option(
    "--stored-schedules",
    is_flag=True,
    help="Read the schedules of django-celery-beat; the application connects to its database for that.",
)
@_files("--commands", "A file that starts workers: supervisor, systemd, Procfile, shell, compose, Kubernetes")
@_files("--measured", "Measured run times and rates: answers of Prometheus or Flower")
@click.option("--live", is_flag=True, help="Look at the running workers and the broker, too.")
@click.option("--broker", metavar="URL", help="With --live: URL of the broker [default: as the app has it].")
@click.option("--management", metavar="URL", help="With --live: URL of RabbitMQ's management API.")
@click.option(
    "--service", metavar="NAME", callback=_service, help="The name of the service  [default: from the app]."
)
@click.option("--report-only", is_flag=True, help="Print the findings, and write nothing.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("adopted"),
    show_default=True,
    help="The new folder to write.",
)
@options.common
def import_(
    *,
    application: Application,
    service: str | None,
    report_only: bool,
    output: Path,
    run: options.Run,
    **looks: Any,  # noqa: ANN401 - files and a flag, as `Sources` has them
) -> None:
    """Write a workload that compiles to what an application does today, and print what is wrong with it.

    The application is loaded in its own interpreter, in the current folder, as a worker loads it. Nothing is
    changed. No connection to a broker is opened without --live.

    \b
    Examples:
      policycompiler import --app shop.celery_app --commands build/supervisor/shop.conf
      policycompiler import --app shop.celery_app --python .venv/bin/python --source shop --output today
      policycompiler import --app shop.celery_app --report-only
    """
    sources = adoption.Sources(
        **application._asdict(),
        rows=looks["stored_schedules"],
        commands=looks["commands"],
        measured=looks["measured"],
        live=looks["live"],
        broker=looks["broker"],
        management=looks["management"],
    )
    if not (sources.apps or sources.commands or sources.source):
        raise click.UsageError("name at least one of --app, --commands and --source")
    if not report_only and output.exists() and (not output.is_dir() or any(output.iterdir())):
        message = f"{output} exists already; nothing was written"
        raise click.UsageError(message)
    try:
        found = adoption.adopt(sources, service)
        if not (found.files or report_only):
            raise click.UsageError(report.clean(f"{found.left[-1].why}; --report-only writes nothing"))
        left = {LEFT_OUT: "".join(f"{line}\n" for line in every_left(found.left))} if found.left else {}
        paths = [] if report_only else adoption.write({**found.files, **left}, output)
    except (CodeError, MeasuredError) as problem:
        raise click.UsageError(report.clean(str(problem))) from None
    except OSError as problem:
        message = f"{problem.filename}: {problem.strerror}"
        raise click.UsageError(message) from None
    judged = adoption.judged(found, run.policy, run.today, written=not report_only)
    running.print_findings(judged, run)
    if not run.quiet:
        running.tell(*left_lines(found.left, written=bool(paths)), f"found {counts(adoption.sizes(found))}")
        running.tell(written(paths, str(output)) if paths else "")
    sys.exit(running.exit_code(judged.diagnostics, run))
