"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import click
from pydantic_core import PydanticCustomError

from policycompiler import report
from policycompiler.cli.project import Project, read_project
from policycompiler.diagnostics import Severity
from policycompiler.model.units import parse_positive_duration

Command: TypeAlias = Callable[..., None]


class Run(NamedTuple):
    """The values of the shared options, with the defaults of the project applied."""

    project: Project
    env: str | None
    output_format: report.OutputFormat
    color: str
    fail_on: Severity
    output_file: Path | None
    quiet: bool
    policy: Path | None
    baseline: Path | None
    today: date | None
    apply_waivers: bool


_SHARED = (
    *("env", "output_format", "color", "fail_on", "output_file", "quiet"),
    *("policy", "baseline", "today", "no_waivers"),
)

_FILE = click.Path(path_type=Path, dir_okay=False)

sources = click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="[SOURCE]...")

_env = click.option("--env", metavar="NAME", help="Apply the overlay environments.NAME of each file.")
_policy = click.option("--policy", type=_FILE, help="Policy file of the platform team.")
_baseline = click.option(
    "--baseline", type=_FILE, help="Hide the findings recorded in this file; `baseline write` creates one."
)
_color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Color the output; auto means on a terminal. NO_COLOR and FORCE_COLOR are honored.",
)
_judging = (
    click.option(
        "--today",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="YYYY-MM-DD",
        help="Evaluate waivers as of this date [default: today].",
    ),
    click.option("--no-waivers", is_flag=True, help="Ignore all waivers."),
    click.option(
        "--fail-on",
        type=click.Choice([severity.value for severity in Severity]),
        default=Severity.ERROR.value,
        show_default=True,
        help="Lowest severity that fails the command.",
    ),
)
_output_file = click.option(
    "--output-file", type=_FILE, help="Print to this file instead of standard output."
)


def common(command: Command) -> Command:
    """The options of every command that prints findings; the command gets them as `run`."""
    return _with_run(
        command,
        _env,
        _policy,
        _baseline,
        *_judging,
        _output_format(report.FORMATS, "Format of the findings."),
        _output_file,
        _color,
        click.option("-q", "--quiet", is_flag=True, help="Print findings only: no summary, no progress."),
    )


def for_reviews(command: Command) -> Command:
    """The options of a command that compares two plans."""
    return _with_run(
        command,
        _env,
        _policy,
        _baseline,
        *_judging,
        _output_format(("full", "json", "markdown", "github", "gitlab"), "Format of the changes."),
        _output_file,
        _color,
        click.option("-q", "--quiet", is_flag=True, help="Print only the verdict."),
    )


def for_answers(command: Command) -> Command:
    """The options of a command that answers a question; it prints findings only where it has no answer."""
    return _with_run(command, _env, _policy, answer_format, _color)


def for_sizes(command: Command) -> Command:
    """The options of `size`, which answers a question."""
    return _with_run(command, _env, _policy, _output_format(_ANSWERS, _FOR_WHOM, "--format"), _color)


def for_load_tests(command: Command) -> Command:
    """The options of `load`, whose answer is also a report for CI."""
    formats = _output_format(("full", "json", "junit", "markdown"), "Format for people, machines or CI.")
    return _with_run(command, _env, _policy, formats, _output_file, _color)


page_file = click.option(
    "-o",
    "--output",
    "file",
    type=_FILE,
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)


def for_pages(command: Command) -> Command:
    """The options of a command that writes a page."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Do not print the name of the file.")
    return _with_run(command, _env, _policy, _baseline, *_judging, quiet)


def _output_format(formats: Sequence[str], help_text: str, *more_names: str) -> Callable[[Command], Command]:
    return click.option(
        *("--output-format", *more_names, "output_format"),
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=help_text,
    )


_ANSWERS = ("full", "json")
_FOR_WHOM = "Format for people or for machines."

answer_format = _output_format(_ANSWERS, _FOR_WHOM)


def _with_run(command: Command, *options: Callable[[Command], Command]) -> Command:
    @wraps(command)
    def with_run(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        shared = {name: given.pop(name, None) for name in _SHARED}
        command(run=_run(read_project(), shared), **given)

    wrapped: Command = with_run
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _run(project: Project, given: Mapping[str, Any]) -> Run:
    """Apply the defaults of the project; a command without an option gives None for it."""
    # An empty name, as from an empty variable, means no environment.
    return Run(
        project,
        env=project.env if given["env"] is None else given["env"],
        output_format=given["output_format"] or "full",
        color=given["color"],
        fail_on=Severity(given["fail_on"] or Severity.ERROR),
        output_file=given["output_file"],
        quiet=bool(given["quiet"]),
        policy=given["policy"] or project.policy,
        baseline=given["baseline"] or project.baseline,
        today=given["today"] and given["today"].date(),
        apply_waivers=not given["no_waivers"],
    )


class _Duration(click.ParamType[float]):
    """A duration as in a workload, such as `30m`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_positive_duration(float(value) if _is_number(value) else value)
        except PydanticCustomError as problem:
            self.fail(str(problem), param, ctx)


def _is_number(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isdecimal()


DURATION = _Duration()


def of_a_rollout(command: Command) -> Command:
    """The options of a command about a step of a rollout."""
    folder = click.Path(path_type=Path, file_okay=False)
    undo = click.option("--undo", is_flag=True, help="Follow the rollback of the step.")
    return click.option(
        "--rollout",
        type=folder,
        help="Folder with steps.json [default: rollout here, else in the output folder].",
    )(undo(command))


def of_a_broker(command: Command) -> Command:
    """The options of a command that asks the broker of a plan."""
    management = click.option(
        "--management", metavar="URL", help="URL of RabbitMQ's management API, to count held messages."
    )
    return click.option(
        "--broker", metavar="URL", help="URL of the broker [default: as the processes of the plan read it]."
    )(management(command))
