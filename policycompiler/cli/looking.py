"""The options that name what to look at: an application, or a running deployment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import click

Command: TypeAlias = Callable[..., None]


class Application(NamedTuple):
    """The apps of an application, their interpreter, whether they need Django, and their source."""

    apps: tuple[str, ...]
    python: str
    django: bool
    source: tuple[Path, ...]


def application(command: Command) -> Command:
    """The options of an application; the command gets them as `application`."""

    @wraps(command)
    def with_application(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        command(application=Application(*(given.pop(field) for field in Application._fields)), **given)

    wrapped: Command = with_application
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS = (
    click.option(
        "--app", "-A", "apps", multiple=True, metavar="APP", help="An app, as for `celery -A`; repeatable."
    ),
    click.option(
        "--python",
        default=sys.executable,
        show_default="that of policycompiler",
        metavar="PATH",
        help="The interpreter of the application.",
    ),
    click.option(
        "--django", is_flag=True, help="Set Django up before the app is loaded (DJANGO_SETTINGS_MODULE)."
    ),
    click.option(
        "--source",
        type=click.Path(path_type=Path, exists=True),
        multiple=True,
        help="A folder of source code to read without importing it; repeatable.",
    ),
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
