"""The options that name what to look at: an application, or a running deployment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import click

Command: TypeAlias = Callable[..., None]


class Application(NamedTuple):
    """The apps of an application, their interpreter, whether they need Django, and its folder.

    `source` are folders of source code, from `folder`.
    """

    apps: tuple[str, ...]
    python: str
    django: bool
    source: tuple[Path, ...]
    folder: Path


def application(command: Command) -> Command:
    """The options of an application; the command gets them as `application`."""

    @wraps(command)
    def with_application(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        found = Application(*(given.pop(field) for field in Application._fields))
        below = tuple(Path(os.path.relpath(each, found.folder)) for each in found.source)
        command(application=found._replace(source=below), **given)

    wrapped: Command = with_application
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _from_anywhere(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """The interpreter, however it was named: it runs in other folders. A link to it may be a `venv`'s own."""
    del context, parameter
    return os.path.abspath(given) if os.sep in given else given  # noqa: PTH100 - Path.resolve follows links


python = click.option(
    "--python",
    default=sys.executable,
    callback=_from_anywhere,
    show_default="that of policycompiler",
    metavar="PATH",
    help="The interpreter of the application.",
)
"""The option of the interpreter of an application."""
workdir = click.option(
    "--workdir",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="the current one",
    metavar="FOLDER",
    help="The folder of the application, where `celery -A` finds it.",
)
"""The option of the folder of an application."""
_OPTIONS = (
    click.option(
        "--app", "-A", "apps", multiple=True, metavar="APP", help="An app, as for `celery -A`; repeatable."
    ),
    python,
    click.option(
        "--django", is_flag=True, help="Set Django up before the app is loaded (DJANGO_SETTINGS_MODULE)."
    ),
    click.option(
        "--source",
        type=click.Path(path_type=Path, exists=True),
        multiple=True,
        help="A folder of source code to read without importing it; repeatable.",
    ),
    workdir,
)


class Deployment(NamedTuple):
    """Where a deployment is reached, and whether to look once or again and again."""

    broker: str | None
    management: str | None
    watch: bool
    interval: float


def deployment(command: Command) -> Command:
    """The options for a running deployment; the command gets them as `deployment`."""

    @wraps(command)
    def with_deployment(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        command(deployment=Deployment(*(given.pop(field) for field in Deployment._fields)), **given)

    wrapped: Command = with_deployment
    for option in reversed(_OF_A_DEPLOYMENT):
        wrapped = option(wrapped)
    return wrapped


_OF_A_DEPLOYMENT = (
    click.option("--broker", metavar="URL", help="URL of the broker [default: as in the plan]."),
    click.option("--management", metavar="URL", help="RabbitMQ: URL of the management API."),
    click.option("--watch", is_flag=True, help="Repeat until Ctrl-C."),
    click.option(
        "--interval",
        type=click.FloatRange(min=1, max=86400),
        default=30,
        show_default=True,
        metavar="SECONDS",
        help="With --watch: seconds between two looks.",
    ),
)
