"""The options that name an application to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeAlias

import click

Command: TypeAlias = Callable[..., None]


class Application(NamedTuple):
    """The apps of an application, the interpreter that has them, and whether they need Django."""

    apps: tuple[str, ...]
    python: str
    django: bool


def application(command: Command) -> Command:
    """The options `--app`, `--python` and `--django`; the command gets them as `application`."""

    @wraps(command)
    def with_application(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        found = Application(given.pop("apps"), given.pop("python"), given.pop("django"))
        command(application=found, **given)

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
)
