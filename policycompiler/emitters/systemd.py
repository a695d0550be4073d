"""Units for systemd 247 and later: a template for each worker, a service for beat, a target for all.

`systemctl start SERVICE-celery.target` starts every process. A stop sends TERM only to Celery's main
process and waits for runs in progress. The units need the user, the folders and the environment file that
they name. Secrets belong in that file, because every user may read a unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from policycompiler.emitters import exporters
from policycompiler.emitters.base import OutputFile, Raw, Reading, one_line
from policycompiler.emitters.commands import (
    Target,
    beat_command,
    beat_environment,
    beat_facts,
    comment,
    folder_of,
    hosts,
    name,
    processes,
    required_variables,
    runs_beat,
    why,
    worker_command,
    worker_environment,
    worker_facts,
)
from policycompiler.emitters.exporters import Exporter
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import size

ID = "systemd"

RESTART_SECONDS = 5
"""The wait before a restart: short enough for short queues, and long enough to avoid a busy loop."""


def emit(plan: Plan) -> Iterator[OutputFile]:
    """A template unit for each worker, the beat service when there are schedules, and the target.

    If the plan has hosts, each of them has a folder with its own.
    """
    for host in hosts(plan):
        for worker in processes(plan, host):
            yield _worker(_because_of(plan, host, "workers"), host, worker)
        if runs_beat(plan, host):
            yield _beat(_because_of(plan, host, "beat"), host)
        yield _target(Reading(plan), host)
    for exporter in exporters.on_hosts(plan):
        yield _exporter(Reading(plan), exporter)


def _because_of(plan: Plan, host: Scope | None, key: str) -> Reading:
    """A reading for a file that is there because of a setting of its host."""
    reading = Reading(plan)
    if host is not None:
        reading.find(host, key)
    return reading


def quote(value: object) -> str:
    """A number unchanged, any other value as one argument of `ExecStart=`."""
    return one_line(value) if isinstance(value, int) else _quote(value).replace("$", "$$")


def _quote(value: object) -> str:
    """A value as one word if systemd does not expand `$`: in `Environment=`, and the executable's path."""
    return '"' + _escape(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(value: object) -> str:
    return one_line(value).replace("%", "%%")


def _line(text: str) -> Raw:
    """A value that systemd reads to the end of the line; raises `ValueError` if systemd would change it."""
    if text != text.strip() or text.endswith("\\"):
        message = f"systemd would read only a part of {text!r}"
        raise ValueError(message)
    return Raw(_escape(text))


def _executable(path: str) -> Raw:
    """The first word of `ExecStart=`; raises `ValueError` if systemd does not accept it."""
    if set(path) & set("\"'\\"):
        message = f"systemd does not accept an executable with quotes or backslashes: {path!r}"
        raise ValueError(message)
    return Raw(_quote(path))


def _numbered(before: str, after: str) -> str:
    return f"{quote(before)[:-1]}%i{quote(after)[1:]}"


def _variable(found: str) -> str:
    """The value of a variable as one argument; systemd reads it from the environment file."""
    return f'"${{{found}}}"'


def _worker(plan: Reading, host: Scope | None, worker: Scope) -> OutputFile:
    service = name(plan.text(APP, "service"))
    target = Target(_numbered, _variable)
    command, *options = worker_command(plan, worker, plan.text(APP, "executable"), target)
    environment: list[tuple[str, str]] = [*worker_environment(plan, worker)]
    if "/" not in command[0]:
        # systemd searches a plain name in its own folders, but the prefix comes from the app's folder.
        command.insert(0, "/usr/bin/env")
        folder = PurePosixPath(plan.text(APP, "executable")).parent
        environment.insert(0, ("PATH", f"{folder}:/usr/local/bin:/usr/bin:/bin"))
    memory = plan.get(worker, "memory_bytes")
    text = render(
        "systemd/worker@.service",
        quote,
        {
            **worker_facts(plan, worker),
            **_installation(plan),
            "environment": [Raw(_quote(f"{key}={value}")) for key, value in environment],
            "executable": _executable(command[0]),
            "arguments": command[1:],
            "options": options,
            "memory": None if memory is None else int(plan.number(worker, "memory_bytes")),
            "memory_why": None if memory is None else why(plan.setting(worker, "memory_bytes")),
        },
    )
    return plan.file(f"systemd/{folder_of(host)}{_worker_unit(service, worker, '')}", text)


def _beat(plan: Reading, host: Scope | None) -> OutputFile:
    service = name(plan.text(APP, "service"))
    state_directory = name(plan.text(APP, "state_directory"))
    schedule = f"/var/lib/{state_directory}/schedule"
    (executable, *arguments), *options = beat_command(plan, plan.text(APP, "executable"), schedule)
    text = render(
        "systemd/beat.service",
        quote,
        {
            **beat_facts(plan),
            **_installation(plan),
            "environment": [Raw(_quote(f"{key}={value}")) for key, value in beat_environment(plan)],
            "state_directory": state_directory,
            "executable": _executable(executable),
            "arguments": arguments,
            "options": options,
        },
    )
    return plan.file(f"systemd/{folder_of(host)}{service}-beat.service", text)


def _exporter(plan: Reading, exporter: Exporter) -> OutputFile:
    service = name(plan.text(APP, "service"))
    executable, *arguments = exporters.command(plan, exporter)
    variables = exporters.environment(plan, exporter)
    text = render(
        "systemd/exporter.service",
        quote,
        {
            "service": service,
            **exporters.comments(exporter),
            "user": _line(plan.text(APP, "user")),
            # Without a variable of its own it is a command of the application.
            "working_directory": "" if exporter.url else _line(plan.text(APP, "working_directory")),
            "environment_file": _line(plan.text(APP, "environment_file")),
            "required": plan.get(APP, "broker_url_variable"),
            "restart_seconds": RESTART_SECONDS,
            "environment": [Raw(_quote(f"{key}={url}")) for key, url in variables.items()],
            "executable": _executable(executable),
            "arguments": arguments,
        },
    )
    return plan.file(f"systemd/{service}-{exporter.part}.service", text)


def _target(plan: Reading, host: Scope | None) -> OutputFile:
    service = name(plan.text(APP, "service"))
    units = [
        Raw(_worker_unit(service, worker, str(instance)))
        for worker, number in processes(plan, host).items()
        for instance in range(1, number + 1)
    ]
    if runs_beat(plan, host):
        units.append(Raw(f"{service}-beat.service"))
    content = {"service": service, "units": units, "budget": _budget(plan, host)}
    text = render("systemd/celery.target", quote, content)
    return plan.file(f"systemd/{folder_of(host)}{service}-celery.target", text)


def _budget(plan: Plan, host: Scope | None) -> Raw | None:
    """The declared cores and memory of a host, for people."""
    cores, memory = (
        (None, None) if host is None else (plan.get(host, "cores"), plan.get(host, "memory_bytes"))
    )
    said = [f"{cores} cores"] if cores is not None else []
    said += [f"{size(int(str(memory)))} of memory"] if memory is not None else []
    return comment(f"The host is declared with {' and '.join(said)}.") if said else None


def _worker_unit(service: str, worker: Scope, instance: str) -> str:
    return f"{service}-worker-{name(worker.name)}@{instance}.service"


def _installation(plan: Plan) -> dict[str, object]:
    """The values that units of workers and of beat share."""
    return {
        "service": name(plan.text(APP, "service")),
        "user": _line(plan.text(APP, "user")),
        "working_directory": _line(plan.text(APP, "working_directory")),
        "environment_file": _line(plan.text(APP, "environment_file")),
        "required": required_variables(plan),
        "restart_seconds": RESTART_SECONDS,
    }
