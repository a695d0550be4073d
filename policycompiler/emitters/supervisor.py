"""Programs for supervisor 4, to be included by a supervisord that runs in the app's folder.

Supervisord finds `celery` on its PATH, and its environment has the secrets. A stop sends TERM only to
Celery's main process and waits for runs in progress.

`env` before the command sets the variables of a worker, because supervisor's `environment=` does not
support every value. It drops a quote at either end, and a semicolon after a blank ends the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policycompiler.emitters import exporters
from policycompiler.emitters.base import OutputFile, Raw, Reading, one_line
from policycompiler.emitters.commands import (
    Target,
    beat_command,
    beat_environment,
    beat_facts,
    folder_of,
    hosts,
    name,
    processes,
    required_variables,
    runs_beat,
    worker_command,
    worker_environment,
    worker_facts,
)
from policycompiler.emitters.exporters import Exporter
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, BEAT, Plan, Scope

ID = "supervisor"

START_RETRIES = 10_000
"""Supervisor stops retrying after this many starts.

It waits one second longer before each start, so 10,000 starts take a year and a half. No outage is so long.
"""


def emit(plan: Plan) -> Iterator[OutputFile]:
    """A file with a program for each worker, one for beat when there are schedules, and their group.

    If the plan has hosts, each of them has a file of its own in its folder.
    """
    for host in hosts(plan):
        yield _programs(Reading(plan), host)
    for exporter in exporters.on_hosts(plan):
        yield _exporter(Reading(plan), exporter)


def _programs(reading: Reading, host: Scope | None) -> OutputFile:
    service = name(reading.text(APP, "service"))
    programs = [
        _worker(reading, service, worker, count) for worker, count in processes(reading, host).items()
    ]
    beat = _beat(reading, service, placed=host is not None) if runs_beat(reading, host) else None
    names = [str(program["program"]) for program in programs]
    if beat is not None:
        names.append(str(beat["program"]))
    text = render(
        "supervisor/programs.conf",
        quote,
        {
            "service": service,
            "required": required_variables(reading),
            "programs": Raw(",".join(names)),
            "workers": programs,
            "beat": beat,
            "start_retries": START_RETRIES,
        },
    )
    return reading.file(f"supervisor/{folder_of(host)}{service}.conf", text)


def _exporter(reading: Reading, exporter: Exporter) -> OutputFile:
    service = name(reading.text(APP, "service"))
    url = [f"{key}={url}" for key, url in exporters.environment(reading, exporter).items()]
    executable, *arguments = [*(["env", *url] if url else []), *exporters.command(reading, exporter)]
    content = {
        "service": service,
        **exporters.comments(exporter),
        "program": name(f"{service}-{exporter.part}"),
        "start_retries": START_RETRIES,
        "executable": executable,
        "arguments": arguments,
    }
    text = render("supervisor/exporter.conf", quote, content)
    return reading.file(f"supervisor/{service}-{exporter.part}.conf", text)


def quote(value: object) -> str:
    """A number unchanged, any other value as one word of `command=`."""
    if isinstance(value, int):
        return one_line(value)
    text = one_line(value).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    # Supervisor ends the line at `;` or `#` after a blank, and replaces `%(here)s` anywhere, even in quotes.
    # Closing and opening the quotes separates these characters and does not change the word.
    return '"' + re.sub(r"(?=[;#(])", '""', text) + '"'


def _numbered(before: str, after: str) -> str:
    return f"{quote(before)[:-1]}%(process_num)d{quote(after)[1:]}"


def _variable(found: str) -> str:
    """The value of a variable of supervisord; it does not start without the variable."""
    return f'"%(ENV_{found})s"'


def _worker(plan: Plan, service: str, worker: Scope, processes: int) -> dict[str, object]:
    command = worker_command(plan, worker, "celery", Target(_numbered, _variable))
    lines = _with(worker_environment(plan, worker), command)
    (executable, *arguments), *options = lines
    return {
        "program": name(f"{service}-{worker.name}"),
        **worker_facts(plan, worker),
        "executable": executable,
        "arguments": arguments,
        "options": options,
        "replicas": processes,
    }


def _with(environment: list[tuple[Raw, str]], command: list[list[str]]) -> list[list[str]]:
    """A command in an environment."""
    return [["env", *(f"{key}={value}" for key, value in environment)], *command] if environment else command


def _beat(plan: Plan, service: str, *, placed: bool) -> dict[str, object]:
    lines = _with(beat_environment(plan), beat_command(plan, "celery", "celerybeat-schedule"))
    (executable, *arguments), *options = lines
    return {
        "program": name(f"{service}-{BEAT.kind}"),
        **beat_facts(plan, placed=placed),
        "executable": executable,
        "arguments": arguments,
        "options": options,
    }
