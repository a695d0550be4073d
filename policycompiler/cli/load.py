"""`policycompiler load`: the declared load on real workers, measured and predicted."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from policycompiler import interrupts, report, runtime
from policycompiler.cli import looking, options, running, supposing
from policycompiler.load_test.outcome import Outcome
from policycompiler.load_test.wish import Access, Interrupted, LoadTestError, Wish
from policycompiler.quantities import duration as told
from policycompiler.rehearse.fleet import Application
from policycompiler.report.load_test import (
    load_test_json,
    load_test_junit,
    load_test_markdown,
    load_test_text,
)

_TARGETS = ("celeryconfig", "launch")
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 3600.0
_MOST_MESSAGES = 1_000_000


def _print_module(context: click.Context, parameter: click.Parameter, given: bool) -> None:  # noqa: FBT001
    del parameter
    if given:
        module = Path(runtime.__file__).with_name("stand_ins.py")
        click.echo(module.read_text(encoding="utf-8"), nl=False)
        context.exit()


def _bounded(context: click.Context, parameter: click.Parameter, given: float) -> float:
    del context, parameter
    if not _SHORTEST_SECONDS <= given <= _LONGEST_SECONDS:
        message = f"{told(given)} is not between {told(_SHORTEST_SECONDS)} and {told(_LONGEST_SECONDS)}"
        raise click.BadParameter(message)
    return given


_OF_A_WISH = (
    click.option(
        *("--duration", "seconds"),
        type=options.DURATION,
        default="60s",
        show_default=True,
        callback=_bounded,
        help="How long to send messages, such as 5m; at most 1h.",
    ),
    click.option(
        *("--drain", "drain_seconds"),
        type=options.DURATION,
        default="10s",
        show_default=True,
        callback=_bounded,
        help="How long to wait then for messages that have not started.",
    ),
    click.option(
        "--most",
        type=click.IntRange(1, _MOST_MESSAGES),
        default=50_000,
        show_default=True,
        metavar="N",
        help="Send at most N messages.",
    ),
    click.option(
        "--rate-factor",
        type=supposing.FACTOR,
        default="1",
        metavar="FACTOR",
        help="Send FACTOR times the declared rates; the slots stay as planned.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Draw other random messages."),
    click.option(
        *("--queue", "queues"), multiple=True, metavar="QUEUE", help="Send only to this queue; repeatable."
    ),
)


def _with_wish(command: Callable[..., None]) -> Callable[..., None]:
    """The options of what to send; the command gets them as `wish`."""

    @wraps(command)
    def with_wish(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        command(wish=Wish(*(given.pop(field) for field in Wish._fields)), **given)

    wrapped: Callable[..., None] = with_wish
    for option in reversed(_OF_A_WISH):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@options.sources
@_with_wish
@click.option("--app", "-A", metavar="APP", help="The real app, as for `celery -A`; its tasks do not run.")
@looking.python
@looking.workdir
@click.option(
    "--most-slots",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start about N slots at most [default: as many as fit on this machine].",
)
@click.option("--running", "is_running", is_flag=True, help="Drive a running deployment; start nothing.")
@click.option(
    "--broker",
    metavar="URL",
    help="An empty broker instead of a private one; with --running, its broker [default: as in the plan].",
)
@click.option("--management", metavar="URL", help="With --running: URL of RabbitMQ's management API.")
@click.option("--beside-other-work", is_flag=True, help="With --running: allow other messages in the queues.")
@click.option(
    "--print-module",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_module,
    help="Print the module that the workers of --running need, and exit.",
)
@options.for_load_tests
def load(  # noqa: PLR0913 - an argument an option
    *,
    sources: tuple[Path, ...],
    wish: Wish,
    app: str | None,
    python: str,
    folder: Path,
    most_slots: int | None,
    is_running: bool,
    broker: str | None,
    management: str | None,
    beside_other_work: bool,
    run: options.Run,
) -> None:
    """Send the declared load to real workers, and compare their waits with the predicted ones.

    Messages come at the declared peak rates and bursts. Stand-ins run instead of tasks: they wait or compute
    as long as the declared run times say. Without --running, the compiled workers run on a private Redis, and
    nothing is left. With --running, the workers must include the module of --print-module. Exit code 1 means
    that a promise was broken, or that messages were lost, failed or ran twice.

    \b
    Examples:
      policycompiler load workloads --duration 5s
      policycompiler load workloads --duration 5s --queue search --rate-factor 0.5 --output-format junit
      policycompiler load workloads --env staging --running
    """
    _refuse_mixed(
        is_running,
        {"--app": app, "--most-slots": most_slots},
        {"--management": management, "--beside-other-work": beside_other_work},
    )
    signal.signal(signal.SIGTERM, _end)
    compilation = running.compiled(sources, run, _TARGETS)
    plan = compilation.plan
    if plan is None or compilation.failed:
        running.print_findings(compilation, run._replace(output_format="full", output_file=None))
        sys.exit(running.EXIT_FINDINGS)
    # Celery is slow to import.
    load_test = interrupts.importing(lambda: import_module("policycompiler.load_test.performing"))
    try:
        if is_running:
            access = Access(broker, management, beside_other_work)
            found = load_test.on_running_workers(plan, wish, access, _tell)
        else:
            real = Application(app, python, folder) if app else None
            found = load_test.on_own_workers(
                plan, compilation.files, wish, real=real, url=broker, most_slots=most_slots, tell=_tell
            )
    except LoadTestError as problem:
        raise click.UsageError(report.clean(str(problem))) from None
    except Interrupted as ended:
        running.tell("Stopped before anything was measured.")
        sys.exit(ended.exit_code)
    finally:
        _tell("")
    running.print_text(_text(found, run), run)
    sys.exit(found.ended_by or (0 if found.succeeded else running.EXIT_FINDINGS))


def _refuse_mixed(is_running: bool, starting: dict[str, Any], driving: dict[str, Any]) -> None:  # noqa: FBT001
    """Refuse options of the other way."""
    mixed = [name for name, value in (starting if is_running else driving).items() if value]
    if mixed:
        told_of = "starts nothing, so it takes no" if is_running else "is missing: without it, there is no"
        message = f"--running {told_of} {' and no '.join(mixed)}"
        raise click.UsageError(message)


def _end(*_: object) -> None:
    """Let SIGTERM end the test as Ctrl-C does: what was measured is printed, and all is cleaned up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted(128 + signal.SIGTERM)


def _text(found: Outcome, run: options.Run) -> str:
    match run.output_format:
        case "json":
            return load_test_json(found)
        case "junit":
            return load_test_junit(found)
        case "markdown":
            return load_test_markdown(found)
    return load_test_text(found, color=running.wants_color(run))


def _tell(text: str) -> None:
    """Show the progress on a terminal, as one line that is replaced; an empty text removes it."""
    if not sys.stderr.isatty():
        return
    width = max(shutil.get_terminal_size().columns - 1, 1)
    # Erase to the end of the line.
    click.echo(f"\r{report.clean(text)[:width]}\x1b[K", nl=False, err=True, color=True)
