"""Shell scripts that start one process each, and a Procfile that names them.

Use them where no unit starts the processes: as the command of a container, with a Procfile runner, in a
terminal. Each script ends with `exec`, so signals reach Celery. Arguments of a script are added to the
command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from policycompiler.emitters.base import MODE_SCRIPT, OutputFile, Raw, Reading, one_line
from policycompiler.emitters.commands import (
    Target,
    beat_command,
    beat_environment,
    beat_facts,
    name,
    required_variables,
    worker_command,
    worker_environment,
    worker_facts,
)
from policycompiler.emitters.templates import render
from policycompiler.plan import BEAT, Plan, Scope

ID = "launch"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """A script for each worker, one for beat when there are schedules, and the Procfile."""
    for worker in plan.scopes("worker"):
        yield _worker(Reading(plan), worker)
    if plan.scopes("beat"):
        yield _beat(Reading(plan))
    yield _procfile(Reading(plan))


def quote(value: object) -> str:
    """A value as one word of a shell command."""
    return shlex.quote(one_line(value))


def _worker(plan: Reading, worker: Scope) -> OutputFile:
    command, *options = worker_command(plan, worker, "celery", Target(_numbered, _variable))
    replicas = int(plan.number(worker, "replicas"))
    text = render(
        "launch/worker.sh",
        quote,
        {
            **worker_facts(plan, worker),
            "replicas": replicas,
            "noun": Raw(
                "process" if replicas == 1 else "processes; on one host each needs a different INSTANCE"
            ),
            "required": _checks(plan),
            "environment": worker_environment(plan, worker),
            "command": command,
            "options": options,
        },
    )
    return plan.file(f"launch/{name(worker.name)}.sh", text, MODE_SCRIPT)


def _numbered(before: str, after: str) -> str:
    return f'{quote(before)}"${{INSTANCE:-1}}"{quote(after)}'


def _variable(found: str) -> str:
    return f'"${{{found}:?must hold the number of slots}}"'


def _beat(plan: Reading) -> OutputFile:
    schedule = Raw('"${BEAT_SCHEDULE:-celerybeat-schedule}"')
    command, *options = beat_command(plan, "celery", schedule)
    text = render(
        "launch/beat.sh",
        quote,
        {
            **beat_facts(plan),
            "required": _checks(plan),
            "environment": beat_environment(plan),
            "command": command,
            "options": options,
        },
    )
    return plan.file("launch/beat.sh", text, MODE_SCRIPT)


def _checks(plan: Plan) -> list[Raw]:
    """Shell words that stop the script if a required variable is not set."""
    return [
        Raw(f'"${{{found.name}:?must hold the URL of the {found.purpose}}}"')
        for found in required_variables(plan)
    ]


def _procfile(plan: Reading) -> OutputFile:
    scripts = [BEAT.kind] if plan.scopes("beat") else []
    scripts += [name(worker.name) for worker in plan.scopes("worker")]
    entries = _entries(scripts)
    replicas = [1] * len(plan.scopes("beat"))
    replicas += [int(plan.number(worker, "replicas")) for worker in plan.scopes("worker")]
    formation = Raw(
        ",".join(f"{entry}={number}" for (entry, _), number in zip(entries, replicas, strict=True))
    )
    return plan.file(
        "Procfile", render("launch/Procfile", quote, {"entries": entries, "formation": formation})
    )


def _entries(scripts: Iterable[str]) -> list[tuple[Raw, str]]:
    """Each script's path with a name that a Procfile allows, numbered if two would be equal."""
    paths: dict[Raw, str] = {}
    for script in scripts:
        wanted = re.sub(r"[^A-Za-z0-9_-]", "-", script)
        free, number = Raw(wanted), 1
        while free in paths:
            number += 1
            free = Raw(f"{wanted}-{number}")
        paths[free] = f"launch/{script}.sh"
    return list(paths.items())
