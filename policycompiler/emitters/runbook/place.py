"""Where the commands of a runbook run: on which hosts, as which user, and with which variables."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from policycompiler.emitters.base import Raw
from policycompiler.emitters.commands import hosts
from policycompiler.emitters.markdown import markdown_text
from policycompiler.emitters.runbook.facts import Book
from policycompiler.knowledge.runbook import Fact
from policycompiler.plan import APP

_PATH = "/usr/local/bin:/usr/bin:/bin"


def where(book: Book) -> list[Raw]:
    """Sentences on where each kind of command runs."""
    plan = book.plan
    client, *_ = plan.broker.metrics.ping.split() if plan.broker.metrics else [""]
    asks_by_url = plan.broker.metrics is not None and "{url}" in plan.broker.metrics.ping
    clients = f"`policycompiler` and `{client}`" if asks_by_url else "`policycompiler`"
    in_shell = f"`celery`, {clients}" if asks_by_url else f"`celery` and {clients}"
    on_server = "`df` and `free`" if asks_by_url or not client else f"`{client}`, `df` and `free`"
    server = f"Run {on_server} on the host of the broker, {plan.broker.label}."
    if book.applies(Fact.CONTAINERS):
        return [
            Raw("Run `docker compose` in the folder with `compose.yaml`."),
            Raw(f"Run {clients} with the environment variables of the application."),
            Raw(server),
        ]
    named = ", ".join(markdown_text(host.name) for host in hosts(plan) if host)
    return [
        Raw(f"Work as root on a host of the service{f': {named}' if named else ''}."),
        Raw("Run `systemctl` and `journalctl` there."),
        Raw("The first command opens a shell with the user, the folder and the variables of the units."),
        Raw(f"Run {in_shell} in it."),
        Raw(server),
    ]


def prepare(book: Book) -> list[str]:
    """The command for a shell in which a command finds what the processes have; none for containers."""
    if book.applies(Fact.CONTAINERS):
        return []
    plan = book.plan
    executables = PurePosixPath(plan.text(APP, "executable")).parent
    words = (
        f"--uid={plan.text(APP, 'user')}",
        f"--working-directory={plan.text(APP, 'working_directory')}",
        f"--property=EnvironmentFile={plan.text(APP, 'environment_file')}",
        f"--setenv=PATH={executables}:{_PATH}",
    )
    return [f"systemd-run --pty --wait --collect {shlex.join(words)} /bin/bash"]
