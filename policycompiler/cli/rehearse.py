"""`policycompiler rehearse`: run what would be deployed, on a private broker."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from policycompiler import rehearse as stage
from policycompiler import report
from policycompiler.cli import looking, options, running
from policycompiler.rehearse import RehearsalError
from policycompiler.rehearse.fleet import Application
from policycompiler.report.rehearsal import rehearsal_json, rehearsal_text

_TARGETS = ("celeryconfig", "launch")


@click.command()
@options.sources
@click.option("--app", "-A", metavar="APP", help="The real app, as for `celery -A`.")
@looking.python
@looking.workdir
@click.option(
    "--broker",
    metavar="URL",
    help="A broker to use instead of a private one; it must be empty, and is emptied at the end.",
)
@options.for_answers
def rehearse(
    *,
    sources: tuple[Path, ...],
    app: str | None,
    python: str,
    folder: Path,
    broker: str | None,
    run: options.Run,
) -> None:
    """Compile into a temporary folder, start the workers there, and send a probe through every way.

    Without --app, a stand-in with the declared tasks runs. With it, the real app is loaded, and the code of
    no task runs. The private broker is Redis if it is installed, else the file system. There, guards of tasks
    meet an outage of what they call, and a killed worker. Nothing is left.

    \b
    Example:
      policycompiler rehearse workloads
    """
    # A stop ends it as Ctrl-C does: what was started is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    compilation = running.compiled(sources, run, _TARGETS)
    if compilation.plan is None or compilation.failed:
        running.print_findings(compilation, run._replace(output_format="full"))
        sys.exit(running.EXIT_FINDINGS)
    real = Application(app, python, folder) if app else None
    try:
        found = stage.rehearse(compilation.plan, compilation.files, real, broker)
    except RehearsalError as problem:
        raise click.UsageError(report.clean(str(problem))) from None
    # What an application or a library said may have a secret.
    found = found._replace(
        problems=[report.clean(each) for each in found.problems],
        arrivals=[each._replace(problem=report.clean(each.problem)) for each in found.arrivals],
    )
    as_json = run.output_format == "json"
    text = rehearsal_json(found) if as_json else rehearsal_text(found, color=running.wants_color(run))
    running.print_text(text, run)
    sys.exit(0 if found.succeeded else running.EXIT_FINDINGS)
