"""The files of an adopted workload, and what the workload language cannot say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from policycompiler.adopt import sections
from policycompiler.adopt.text import file_text
from policycompiler.diagnostics import Diagnostic, SpecPath
from policycompiler.load.parse import is_readable
from policycompiler.plan import Plan

WORKLOADS = "workloads"
"""The folder of the workload files, beside the policy file and the project file."""
POLICY = "policy.yaml"
PROJECT = "policycompiler.toml"
_REQUIRED = frozenset({"version", "service", "app", "broker"})

_POLICY_TEXT = """\
# Decides nothing that the workload does not say, so a compile changes nothing. Move to the standard policies
# task by task: write `policies: standard` in a task, and read `policycompiler diff`.
version: 1
extends: as-is
"""
_PROJECT_TEXT = f"""\
# Defaults of the command line; paths are relative to this file.
sources = ["{WORKLOADS}"]
policy = "{POLICY}"
output = "build"
"""
_TITLES = {
    "tasks": "Tasks as the code has them; the comment above each is where it was seen.",
    "queues": "Queues as they are declared today.",
    "workers": "Workers as they are started today.",
    "schedules": "Schedules as beat has them today.",
}


_ABOVE_ALL_NUMBERS = 2**63


class Refused(NamedTuple):
    """A value that the workload language refuses: its path, what was found, and why."""

    path: SpecPath
    why: str


class Draft:
    """The sections of a workload, from which refused values can be dropped.

    `unreadable` are the scopes that no workload can have: with control characters in texts, or with numbers
    that are infinite or huge.
    """

    def __init__(self, plan: Plan, service: str) -> None:
        self._plan = plan
        self._app: dict[str, Any] = sections.app_of(plan, service)
        entries = sections.entries(plan)
        self._entries = {
            name: [each for each in found if _is_readable([each[0].name, each[1]])]
            for name, found in entries.items()
        }
        self.unreadable = [
            each[0]
            for found in entries.values()
            for each in found
            if not _is_readable([each[0].name, each[1]])
        ]
        self._defaults = sections.task_defaults(plan)

    def files(self) -> dict[str, str]:
        """The text of each file by its path; sections without an entry have no file."""
        version = {"version": 1}
        found = {f"{WORKLOADS}/app.yaml": file_text("What all processes share.", self._app, {}, self._plan)}
        for section, entries in self._entries.items():
            if entries:
                head = {
                    **version,
                    **({"defaults": self._defaults} if self._defaults and section == "tasks" else {}),
                }
                text = file_text(_TITLES[section], head, {section: entries}, self._plan)
                found[f"{WORKLOADS}/{section}.yaml"] = text
        return {**found, POLICY: _POLICY_TEXT, PROJECT: _PROJECT_TEXT}

    def drop(self, findings: Iterable[Diagnostic]) -> Iterator[Refused]:
        """Drop the values that findings refuse, as far as the workload can do without them."""
        for finding in findings:
            if finding.path and self._dropped(finding.path):
                yield Refused(finding.path, finding.message)

    def _dropped(self, path: SpecPath) -> bool:
        section, *rest = path
        if section in self._entries and rest:
            name, *below = rest
            entries = self._entries[str(section)]
            for index, (scope, fields) in enumerate(entries):
                if scope.name == name:
                    # Half of a call is another call.
                    if section == "schedules" or not _drop_in(fields, below):
                        del entries[index]
                    return True
            return False
        if not rest:
            return section not in _REQUIRED and self._app.pop(str(section), None) is not None
        return _drop_in(self._app.get(str(section), {}), rest)


def _drop_in(fields: Any, path: Iterable[object]) -> bool:  # noqa: ANN401 - plain data of any form
    """Drop the innermost field of a path that is in a mapping; part of a list would be another value."""
    keys = list(path)
    inner, owner, last = fields, None, None
    for key in keys:
        if not isinstance(inner, dict) or key not in inner:
            break
        owner, last = inner, key
        inner = inner[key]
    if owner is None:
        return False
    del owner[last]
    return True


def _is_readable(data: object) -> bool:
    if isinstance(data, dict):
        return all(_is_readable(part) for item in data.items() for part in item)
    if isinstance(data, list):
        return all(_is_readable(each) for each in data)
    if isinstance(data, int | float):
        return abs(data) < _ABOVE_ALL_NUMBERS
    return not isinstance(data, str) or is_readable(data)


def service_name(text: str) -> str:
    """A service name from the name of an app: `shop.celery_app:app` becomes `shop`."""
    first = text.partition(":")[0].partition(".")[0].lower().replace("_", "-")
    plain = "".join(each for each in first if each.isascii() and (each.isalnum() or each == "-")).strip(
        "-0123456789"
    )
    return plain[:31].rstrip("-") or "service"
