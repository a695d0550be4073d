"""A workload that is not written: other values at some paths, and other traffic.

The values are parsed, merged and checked like those of a file. Their findings point into a text of the same
form, with a line for each value, by the name `--set`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydantic import BaseModel

from policycompiler.diagnostics import Diagnostic, did_you_mean
from policycompiler.load import Data, Document, Mapped, Mark, merge_patch, parse
from policycompiler.model.parse import UNKNOWN_KEY
from policycompiler.model.workload import Workload
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.schedules import Schedule
from policycompiler.model.workload.tasks import TaskFields
from policycompiler.model.workload.workers import Host, Worker

SOURCE = "--set"
"""The name of the text with the values, as findings show it."""

_NAMED: dict[str, type[BaseModel]] = {
    "tasks": TaskFields,
    "queues": Queue,
    "workers": Worker,
    "schedules": Schedule,
    "hosts": Host,
}
"""The sections whose entries have names of their own, which may contain dots."""
_PLAIN = re.compile(r"[A-Za-z][\w.*/@-]*", re.ASCII)


class WhatIf(NamedTuple):
    """What to suppose: all rates times `rate_factor`, and values by dotted path, as YAML.

    A value replaces the one that is written, as an environment does: a mapping is merged, null removes.
    """

    rate_factor: float = 1
    values: tuple[tuple[str, str], ...] = ()


AS_WRITTEN = WhatIf()


def supposed(document: Document, what_if: WhatIf) -> tuple[Document, list[Diagnostic]]:
    """The document with other values; the findings are about paths that it cannot have."""
    if not what_if.values:
        return document, []
    text = "\n".join(f"{_key(path)}: {value}" for path, value in what_if.values)
    document = document._replace(texts={**document.texts, SOURCE: text})
    findings: list[Diagnostic] = []
    given, marks = parse(text, SOURCE, findings)
    data, merged = document.data, document.marks
    for dotted, value in given.items():
        mark = marks.children[dotted]
        path = _split(dotted, document)
        findings += _unknown(path, value, document, mark)
        patch, patch_mark = _nested(path, value, mark)
        data, merged = merge_patch((data, merged), patch, patch_mark)
    return document._replace(data=data, marks=merged), findings


def _key(path: str) -> str:
    return path if _PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)


def _split(dotted: str, document: Document) -> list[str]:
    """The keys of a path; the name of an entry is one key."""
    section, dot, rest = dotted.partition(".")
    if section not in _NAMED or not dot:
        return dotted.split(".")
    name = _name(section, rest, _names(document, section))
    return [section, name, *filter(None, rest.removeprefix(name).removeprefix(".").split("."))]


def _names(document: Document, section: str) -> list[str]:
    entries = document.data.get(section)
    return [*entries] if isinstance(entries, dict) else []


def _name(section: str, rest: str, declared: Iterable[str]) -> str:
    """The longest declared name before a field; without any, the words before a field, or a declared name."""
    parts, fields = rest.split("."), _NAMED[section].model_fields
    before_field = [".".join(parts[:index]) for index, part in enumerate(parts) if index and part in fields]
    begins = [name for name in declared if rest == name or rest.startswith(f"{name}.")]
    exact = [name for name in begins if name == rest or name in before_field]
    return max(exact or before_field[-1:] or begins or [rest], key=len)


def _unknown(path: list[str], value: Data, document: Document, mark: Mark) -> Iterator[Diagnostic]:
    """The finding of a path that would add an entry, or remove what is not there."""
    section, *keys = path
    name = keys[0] if keys else ""
    if section not in Workload.model_fields:
        message = f"unknown key `{section}`"
        sections = "begin with a section of the workload, such as `tasks`"
        yield _at(mark, message, did_you_mean(section, Workload.model_fields) or sections)
    # Policies decide workers that no entry declares. An entry for no worker has a finding of its own.
    elif section in _NAMED and section != "workers" and keys and name not in _names(document, section):
        known = _names(document, section)
        patterns = [each for each in known if "*" in each and fnmatchcase(name, each)]
        pattern = f"`{patterns[0]}` declares it: change that entry" if patterns else ""
        yield _at(mark, f"`{section}` has no entry `{name}`", pattern or _similar(section, name, known))
    elif value is None and not _has(document.data, path):
        yield _at(mark, f"the workload has no value at `{'.'.join(path)}`", "write a value after `=`")


def _similar(section: str, name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known) or f"name an entry that the workload has below `{section}:`"


def _at(mark: Mark, message: str, help_text: str) -> Diagnostic:
    return UNKNOWN_KEY.at((), message, place=mark.key_place, help=help_text)


def _has(data: Any, path: Iterable[str]) -> bool:  # noqa: ANN401 - plain data
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def _nested(path: list[str], value: Data, mark: Mark) -> tuple[Mapped, Mark]:
    """The value below the keys of its path; each of them has the place of the path."""
    for key in reversed(path[1:]):
        value, mark = {key: value}, mark._replace(start=mark.key_start, children={key: mark})
    return {path[0]: value}, mark._replace(start=mark.key_start, children={path[0]: mark})
