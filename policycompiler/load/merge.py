"""Merges several files and an environment into one document.

Because:
    All files of one compile describe one Celery app. If two files disagreed, the order of their names would
    silently decide. A misspelled environment name would compile the workload without that environment. An
    environment is a JSON merge patch (https://www.rfc-editor.org/rfc/rfc7386).

Refuses:
    PC009 declared-twice: keep one declaration; an overlay changes only its own file.
        when: two files declare the same task, queue, worker, schedule or host, or give one key two values.
    PC010 unknown-environment: use an environment that exists.
        when: `--env` names an environment that no file has.
    PC011 unused-defaults: remove the defaults, or move them to the file that declares the tasks.
        fires: defaults: {idempotent: true}
        silent:
            defaults: {idempotent: true}
            tasks: {shop.a: {}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from policycompiler.diagnostics import Diagnostic, Place, Related, SpecPath, fatal, info
from policycompiler.load.marks import Data, Mapped, Mark, Source

DECLARED_TWICE = fatal("PC009", "declared-twice")
UNKNOWN_ENVIRONMENT = fatal("PC010", "unknown-environment")
UNUSED_DEFAULTS = info("PC011", "unused-defaults")

_NAMED_SECTIONS = ("tasks", "queues", "workers", "schedules", "hosts")
_PER_FILE = frozenset({"owner", "defaults", "environments"})
_FOR_OVERLAYS = (
    "move the overlay to the file that declares this: an overlay of `environments` changes only its own file"
)

_Fields = dict[str, tuple[Data, Mark]]


def with_environment(
    parsed: Sequence[tuple[Mapped, Mark]], environment: str, findings: list[Diagnostic]
) -> list[tuple[Mapped, Mark]]:
    """Apply `environments.NAME` of each file as a JSON merge patch (RFC 7386) to that file."""
    known: set[str] = set()
    patched = []
    for data, mark in parsed:
        patches = data.get("environments")
        known.update(patches if isinstance(patches, dict) else ())
        patch = patches.get(environment) if isinstance(patches, dict) else None
        if isinstance(patch, dict):
            patch_mark = mark.children["environments"].children[environment]
            patched.append(merge_patch((data, mark), patch, patch_mark))
        else:
            # Nothing to change; the model refuses a patch of the wrong form.
            patched.append((data, mark))
    if environment not in known:
        names = ", ".join(sorted(known)) or "none"
        message = f"no file has an environment `{environment}`; known environments: {names}"
        findings.append(UNKNOWN_ENVIRONMENT.at((), message, place=_environments_place(parsed)))
    return patched


def _environments_place(parsed: Sequence[tuple[Mapped, Mark]]) -> Place:
    for _, mark in parsed:
        if "environments" in mark.children:
            return mark.children["environments"].key_place
    return parsed[0][1].place if parsed else Place("", 1, 1)


def merge_patch(target: tuple[Data, Mark] | None, patch: Mapped, patch_mark: Mark) -> tuple[Mapped, Mark]:
    """The target with a JSON merge patch (RFC 7386) applied, and the places of its values."""
    data: Mapped = {}
    marks: dict[str | int, Mark] = {}
    base = patch_mark
    if target is not None and isinstance(target[0], dict):
        base = target[1]
        data.update(target[0])
        marks.update(base.children)
    for key, value in patch.items():
        if value is None:
            data.pop(key, None)
            marks.pop(key, None)
        elif isinstance(value, dict):
            old = (data[key], marks[key]) if key in data else None
            data[key], marks[key] = merge_patch(old, value, patch_mark.children[key])
        else:
            data[key], marks[key] = value, patch_mark.children[key]
    return data, base._replace(children=marks)


def merged(parsed: Sequence[tuple[Mapped, Mark]], findings: list[Diagnostic]) -> tuple[Mapped, Mark]:
    """One document of all files, with `owner` and `defaults` applied and shared sections merged."""
    if not parsed:
        return {}, Mark(Source("", ""), 0, 0, {})
    files = [_own_sections(data, mark, findings) for data, mark in parsed]
    twice: list[Diagnostic] = []
    data, marks = _merged_mappings(files, (), twice)
    findings += _with_help_for_overlays(twice, [mark for _, mark in parsed])
    for one, mark in parsed:
        if "service" in one and "owner" in one:
            # The owner of the file that names the service owns everything without an owner.
            owned: Mapped = {**data, "owner": one["owner"]}
            return owned, marks._replace(children={**marks.children, "owner": mark.children["owner"]})
    return data, marks


def _with_help_for_overlays(twice: Sequence[Diagnostic], files: Sequence[Mark]) -> list[Diagnostic]:
    """The usual help would delete the worker of an overlay in another file."""
    overlays = {place for mark in files if twice for place in _overlay_places(mark)}
    return [
        replace(each, help=_FOR_OVERLAYS)
        if not overlays.isdisjoint((each.place, *(other.place for other in each.related)))
        else each
        for each in twice
    ]


def _overlay_places(mark: Mark) -> Iterator[Place]:
    left = [mark.children["environments"]] if "environments" in mark.children else []
    while left:
        each = left.pop()
        yield from (each.place, each.key_place)
        left += each.children.values()


def _own_sections(data: Mapped, mark: Mark, findings: list[Diagnostic]) -> tuple[Mapped, Mark]:
    """The sections of a file, with its `owner` and `defaults` applied to its tasks and schedules."""
    sections = {key: value for key, value in data.items() if key not in _PER_FILE}
    marks: dict[str | int, Mark] = {key: mark.children[key] for key in sections}
    owner: _Fields = {}
    if isinstance(data.get("owner"), str):
        owner = {"owner": (data["owner"], mark.children["owner"])}
    fields = {"tasks": owner | _defaults(data, mark, findings), "schedules": owner}
    for section in _NAMED_SECTIONS:
        entries = data.get(section)
        if isinstance(entries, dict):
            given = fields.get(section, {})
            old = marks[section]
            full = {name: _with_fields(entry, old.children[name], given) for name, entry in entries.items()}
            sections[section] = {name: entry for name, (entry, _) in full.items()}
            marks[section] = old._replace(children={name: child for name, (_, child) in full.items()})
    return sections, mark._replace(children=marks)


def _defaults(data: Mapped, mark: Mark, findings: list[Diagnostic]) -> _Fields:
    defaults = data.get("defaults")
    if not isinstance(defaults, dict) or not defaults:
        return {}
    marks = mark.children["defaults"]
    if not data.get("tasks"):
        message = "the file has `defaults` but declares no task: the defaults have no effect"
        help_text = "remove `defaults`, or move them to the file that declares the tasks"
        findings.append(UNUSED_DEFAULTS.at((), message, help=help_text, place=marks.key_place))
    return {key: (value, marks.children[key]) for key, value in defaults.items() if value is not None}


def _with_fields(entry: Data, mark: Mark, fields: _Fields) -> tuple[Data, Mark]:
    """An entry with its missing fields added; an entry with a name only is an empty mapping."""
    if entry is None:
        entry = {}
    if not isinstance(entry, dict):
        return entry, mark
    missing = {key: given for key, given in fields.items() if key not in entry}
    if not missing:
        return entry, mark
    # New mappings: two entries may share one through an alias.
    values = {key: value for key, (value, _) in missing.items()}
    marks: dict[str | int, Mark] = {key: child for key, (_, child) in missing.items()}
    return {**entry, **values}, mark._replace(children={**mark.children, **marks})


def _merged_mappings(
    parts: Sequence[tuple[Mapped, Mark]], path: SpecPath, findings: list[Diagnostic]
) -> tuple[Mapped, Mark]:
    by_key: dict[str, list[tuple[Data, Mark]]] = {}
    for data, mark in parts:
        for key, value in data.items():
            by_key.setdefault(key, []).append((value, mark.children[key]))
    result: Mapped = {}
    marks: dict[str | int, Mark] = {}
    for key, given in by_key.items():
        result[key], marks[key] = _merged_values(given, (*path, key), findings)
    return result, parts[0][1]._replace(children=marks)


def _merged_values(
    given: Sequence[tuple[Data, Mark]], path: SpecPath, findings: list[Diagnostic]
) -> tuple[Data, Mark]:
    """The value of a path for which several files have values."""
    if len(path) == 2 and path[0] in _NAMED_SECTIONS:  # noqa: PLR2004 - a section and a name
        findings += [
            _declared_twice(path, mark.key_place, given[0][1], "is declared twice") for _, mark in given[1:]
        ]
        return given[0]
    # An empty section has no effect.
    given = [part for part in given if part[0] is not None] or given[:1]
    mappings = [(value, mark) for value, mark in given if isinstance(value, dict)]
    if len(given) > 1 and len(mappings) == len(given):
        return _merged_mappings(mappings, path, findings)
    if len(path) == 1 and all(isinstance(value, list) for value, _ in given):
        return _joined_lists(given)
    first, first_mark = given[0]
    findings += [
        _declared_twice(path, mark.place, first_mark, "has two different values")
        for value, mark in given[1:]
        if not _same(value, first)
    ]
    return first, first_mark


def _joined_lists(given: Sequence[tuple[Data, Mark]]) -> tuple[Data, Mark]:
    items: list[Data] = []
    marks: dict[str | int, Mark] = {}
    for value, mark in given:
        assert isinstance(value, list)
        marks.update((len(items) + index, mark.children[index]) for index in range(len(value)))
        items += value
    return items, given[0][1]._replace(children=marks)


def _same(one: Data, other: Data) -> bool:
    # In Python 1, 1.0 and true are equal.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _declared_twice(path: SpecPath, place: Place, first: Mark, problem: str) -> Diagnostic:
    related = (Related((), "first occurrence", first.key_place),)
    return DECLARED_TWICE.at(
        (), f"`{path[-1]}` {problem}", place=place, related=related, help="keep one declaration"
    )
