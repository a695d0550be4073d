"""Write numbers into the entries of tasks in workload files: the text around them stays as it is.

A number is replaced where it stands, even in an environment. A number that the entry does not have, or takes
from `defaults:`, is added to the entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import yaml

from policycompiler.diagnostics import SpecPath
from policycompiler.findings.fixes import Fixed, Span, Target, data_of, end_of, targets
from policycompiler.load import Document, Mark

MAIN = {"rate": "mean", "runtime": "p99"}
"""The key of a field that may stand there alone, as in `rate: 5/s`."""
_SECTION = "tasks"

_Written: TypeAlias = "str | dict[str, _Written]"


class Declaration(NamedTuple):
    """What a field of a task shall say: all its keys in their order, and those that change."""

    task: str
    field: str
    values: Mapping[str, str]
    changed: frozenset[str]


class Declared(NamedTuple):
    """New texts by file, and the tasks whose entries have no place for them, such as an alias."""

    fixed: Fixed
    by_hand: tuple[str, ...]


class _File:
    """The nodes of a file by path and by place, and the values to write by path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.wanted: dict[SpecPath, _Written] = {}
        self.tasks: set[str] = set()
        self.by_path: dict[SpecPath, Target] = {}
        self.by_place: dict[tuple[int, int], Target] = {}
        for each in targets(text, lambda _: True):
            key = each.node if each.key is None else each.key
            self.by_path[each.path] = each
            self.by_place[key.start_mark.index, each.node.start_mark.index] = each


def declared(document: Document, declarations: Iterable[Declaration]) -> Declared:
    """The files with these declarations."""
    files: dict[str, _File] = {}
    by_hand = {each.task for each in declarations if not _place(document, each, files)}
    texts: dict[str, str] = {}
    for name, file in files.items():
        if not file.wanted:
            continue
        text = _edited(file)
        if text is None:
            by_hand |= file.tasks
        else:
            texts[name] = text
    return Declared(Fixed(texts, len(texts)), tuple(sorted(by_hand)))


def _place(document: Document, declaration: Declaration, files: dict[str, _File]) -> bool:
    """Note where the values of a declaration go; whether they have a place."""
    task, field, values, changed = declaration
    short: _Written = values[MAIN[field]] if [*values] == [MAIN[field]] else {**values}
    places: list[tuple[SpecPath, _Written]]
    path: SpecPath = (_SECTION, task, field)
    keys = {key: _own(document, (*path, key), files) for key in changed}
    if all(keys.values()):
        # An environment may replace some of the keys, in another place than the others.
        places = [(found, values[key]) for key, found in keys.items() if found]
        owners = [(*path, key) for key in keys]
    elif found := _own(document, path, files):
        node = _file(document, path, files).by_path[found].node
        several = isinstance(node, yaml.MappingNode)
        places = [(found, {key: values[key] for key in values if key in changed} if several else short)]
        owners = [path]
    elif found := _own(document, path[:2], files):
        places, owners = [(found, {field: short})], [path[:2]]
    else:
        return False
    for owner, (where, given) in zip(owners, places, strict=True):
        value = given
        file = _file(document, owner, files)
        before = file.wanted.get(where, {})
        if isinstance(before, dict) and isinstance(value, dict):
            value = {**before, **value}
        file.wanted[where] = value
        file.tasks.add(task)
    return True


def _mark(document: Document, path: SpecPath) -> Mark | None:
    mark: Mark | None = document.marks
    for part in path:
        mark = None if mark is None else mark.children.get(part)
    return mark


def _file(document: Document, path: SpecPath, files: dict[str, _File]) -> _File:
    mark = _mark(document, path)
    assert mark is not None
    name = mark.source.name
    if name not in files:
        files[name] = _File(document.texts[name])
    return files[name]


def _own(document: Document, path: SpecPath, files: dict[str, _File]) -> SpecPath | None:
    """The path of a value in its own file; None if it does not stand in the entry of its task."""
    mark = _mark(document, path)
    if mark is None or mark.source.name not in document.texts:
        return None
    target = _file(document, path, files).by_place.get((mark.key_start, mark.start))
    if target is None:
        return None
    # Below `environments:` and the name of one.
    inside = target.path[2:] if target.path[0] == "environments" else target.path
    return target.path if inside == path else None


def _edited(file: _File) -> str | None:
    """The text with the wanted values; None if one has no place, or if the text then says something else."""
    wanted = data_of(file.text)
    wanted = json.loads(json.dumps(wanted))
    spans: list[Span] = []
    for path, value in file.wanted.items():
        found = [*_spans(file, file.by_path[path], value)]
        if None in found:
            return None
        spans += [each for each in found if each is not None]
        _set(wanted, path, value)
    text = file.text
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text if data_of(text) == wanted else None


def _spans(file: _File, target: Target, value: _Written) -> Iterator[Span | None]:
    """The replacements that give a node a value; a mapping keeps other keys. None is an impossible one."""
    node, text = target.node, file.text
    if isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">"):
        start, end = node.start_mark.index, node.end_mark.index
        # An entry with nothing but a name is an empty scalar behind its colon.
        gap = "" if text[start:end] or text[start - 1 : start].isspace() else " "
        yield Span(start, end, f"{gap}{_flow(value)}")
    elif isinstance(node, yaml.MappingNode) and isinstance(value, dict):
        new: dict[str, _Written] = {}
        for key, each in value.items():
            child = file.by_path.get((*target.path, key))
            if child is None:
                new[key] = each
            else:
                yield from _spans(file, child, each)
        if new:
            yield _addition(text, node, new)
    else:
        yield None


def _addition(text: str, node: yaml.MappingNode, new: Mapping[str, _Written]) -> Span:
    """The keys behind the last one of a mapping."""
    lines = [f"{key}: {_flow(value)}" for key, value in new.items()]
    if node.flow_style:
        at = node.value[-1][1].end_mark.index if node.value else node.start_mark.index + 1
        return Span(at, at, (", " if node.value else "") + ", ".join(lines))
    indent = " " * node.value[0][0].start_mark.column
    block = "".join(f"{indent}{line}\n" for line in lines)
    end = text.find("\n", end_of(node))
    return Span(end + 1, end + 1, block) if end >= 0 else Span(len(text), len(text), f"\n{block}")


def _flow(value: _Written) -> str:
    """A value on one line; the texts of rates and durations need no quotes."""
    if isinstance(value, str):
        return value
    return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"


def _set(data: Any, path: SpecPath, value: _Written) -> None:  # noqa: ANN401 - JSON
    """Write a value into data; the keys of a mapping that the value does not have stay."""
    for part in path[:-1]:
        data = data[part]
    last: Any = path[-1]
    old = data[last]
    if isinstance(old, dict) and isinstance(value, dict):
        for key, each in value.items():
            old.setdefault(key, None)
            _set(old, (key,), each)
    else:
        data[last] = value
