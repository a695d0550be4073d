"""The format of the log of workers and beat.

Decides:
    If the policy file asks for JSON: `app/log_format`.

Because:
    A collector of logs finds the lines of one task only if they have its name and id as fields. JSON in
    `worker_log_format` breaks at the first quote or line break. So the output gets a module that replaces the
    formatter of Celery's handlers. Its lines have no arguments of tasks, which may contain secrets.

Example:
    tasks: {shop.mail.send: {}}

    app/metric_sources = ["celery-exporter", "redis-exporter"]

Refuses:
    PC972 log-format-unused: remove the setting, or the parameter `format`.
        policy: parameters: {logs: {format: json}}
        fires:
            celery: {settings: {worker_log_format: "%(message)s"}}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}

Parameters:
    `format`: `text` leaves the log to Celery; `json` writes one object a line; "text".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Plan
from policycompiler.policies.policy import parameter

NAME = "logs"

LOG_FORMAT_UNUSED = warning("PC972", "log-format-unused")

_FORMATS = ("worker_log_format", "worker_task_log_format", "worker_log_datefmt", "worker_task_log_datefmt")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    format: Literal["text", "json"] = Field(
        "text", description="`text` leaves the log to Celery; `json` writes one object a line"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """JSON if it is asked for, and the settings that it makes useless."""
    del spec
    if tuned.format == "text":
        return
    because = "collectors of logs read fields, and no line has the arguments of a task"
    yield Decision(APP, "log_format", tuned.format, because, (parameter(NAME, "format", tuned.format),))
    for key in _FORMATS:
        if (path := plan.written(APP, key)) is not None:
            message = f"`{key}` formats no line: the policy file asks for lines of JSON"
            help_text = "remove the setting, or write `parameters: {logs: {format: text}}` in the policy file"
            yield LOG_FORMAT_UNUSED.at(path, message, help=help_text)
