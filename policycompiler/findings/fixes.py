"""Fix workload files where a finding says how: the text around an edit, comments included, stays as it is.

A person must make edits that have other effects: below an anchor, or in `defaults:`. The same is true where
an environment does not have the finding.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from policycompiler.diagnostics import Diagnostic, Remove, Rename, Replace, SpecPath
from policycompiler.load import Data, Document, Mark, parse

Edit = Remove | Rename | Replace

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.0123456789")


class Fixed(NamedTuple):
    """New texts by file, and the number of findings that they fix."""

    texts: Mapping[str, str]
    findings: int


class Span(NamedTuple):
    """Text that replaces the text from `start` to `end`."""

    start: int
    end: int
    text: str


class Target(NamedTuple):
    """A node with its key, if any, its parent, and its path in its own file."""

    node: yaml.Node
    key: yaml.Node | None
    parent: yaml.CollectionNode
    path: SpecPath


def environments(document: Document) -> list[str]:
    """The names of all overlays that its files have."""
    named = [data.get("environments") for data, _ in document.per_file]
    return sorted({name for overlays in named if isinstance(overlays, dict) for name in overlays})


def fixed(
    document: Document, findings: Iterable[Diagnostic], elsewhere: Sequence[Iterable[Diagnostic]] = ()
) -> Fixed:
    """The files with every safe fix applied.

    `elsewhere` has the findings of each environment: a fix that one of them does not have may break it.
    """
    texts: dict[str, str] = {}
    count = 0
    common = [{finding.fix for finding in each} for each in elsewhere]
    for finding in findings:
        if not finding.fix or finding.waived or not all(finding.fix in each for each in common):
            continue
        changed = dict(texts)
        if all(_apply(document, edit, changed) for edit in finding.fix):
            texts = changed
            count += 1
    return Fixed(texts, count)


def diff(document: Document, fixed_files: Fixed) -> str:
    """The changes as a unified diff."""
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for name, text in sorted(fixed_files.texts.items())
        for line in difflib.unified_diff(
            document.texts[name].splitlines(keepends=True), text.splitlines(keepends=True), name, name
        )
    )


def write(fixed_files: Fixed) -> None:
    """Replace each file completely; raises OSError if that fails."""
    for name, text in sorted(fixed_files.texts.items()):
        path = Path(name).resolve()
        mark = b"\xef\xbb\xbf" if path.read_bytes().startswith(b"\xef\xbb\xbf") else b""
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(mark + text.encode())
            Path(temporary).chmod(path.stat().st_mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _apply(document: Document, edit: Edit, texts: dict[str, str]) -> bool:
    """Whether an edit is made; an earlier edit may have made it unnecessary."""
    mark: Mark | None = document.marks
    for part in edit.path:
        mark = None if mark is None else mark.children.get(part)
    if mark is None:
        return False
    name = mark.source.name
    before = texts.get(name, document.texts[name])
    # Earlier edits have moved the text: the place is found by its path in the file as it was.
    original = next(targets(document.texts[name], lambda target: starts_at(target, mark)), None)
    if original is None or original.path != edit.path:
        return False
    target = next(targets(before, lambda each: each.path == original.path), None)
    if target is None:
        return isinstance(edit, Remove)
    span = _span(edit, target, before)
    if span is None:
        return False
    after = before[: span.start] + span.text + before[span.end :]
    wanted = _edited(data_of(before), edit, target.path)
    if wanted is None or data_of(after) != wanted:
        return False
    texts[name] = after
    return True


def starts_at(target: Target, mark: Mark) -> bool:
    """Whether a node is the value of a mark."""
    key_start = target.node.start_mark.index if target.key is None else target.key.start_mark.index
    return key_start == mark.key_start and target.node.start_mark.index == mark.start


def targets(text: str, wanted: Callable[[Target], bool]) -> Iterator[Target]:
    """The nodes of a text that are wanted."""
    root = yaml.compose(text, yaml.CSafeLoader)
    stack: list[tuple[yaml.Node | None, SpecPath]] = [(root, ())]
    while stack:
        node, path = stack.pop()
        if isinstance(node, yaml.MappingNode):
            children = [Target(value, key, node, (*path, key.value)) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [Target(item, None, node, (*path, index)) for index, item in enumerate(node.value)]
        else:
            continue
        for child in children:
            if wanted(child):
                yield child
            stack.append((child.node, child.path))


def _span(edit: Edit, target: Target, text: str) -> Span | None:
    match edit:
        case Rename(_, key) if target.key is not None:
            return Span(target.key.start_mark.index, target.key.end_mark.index, _scalar(key))
        case Replace(_, value) if isinstance(target.node, yaml.ScalarNode) and target.node.style not in (
            "|",
            ">",
        ):
            return Span(target.node.start_mark.index, target.node.end_mark.index, _scalar(value))
        case Remove():
            return _flow_removal(target, text) if target.parent.flow_style else _block_removal(target, text)
    return None


def _flow_removal(target: Target, text: str) -> Span:
    """The item with the comma and the blank after it, or before it if it is the last item."""
    start = (target.key or target.node).start_mark.index
    end = target.node.end_mark.index
    behind = text[end:]
    if behind.lstrip(" ").startswith(","):
        end += behind.index(",") + 1
        while text[end : end + 1] == " ":
            end += 1
        return Span(start, end, "")
    before = text[:start].rstrip(" \n")
    if before.endswith(","):
        start = len(before) - 1
    return Span(start, end, "")


def _block_removal(target: Target, text: str) -> Span | None:
    """The lines of an item; None if they contain something else, or if nothing would be left."""
    if len(target.parent.value) == 1:
        return None
    start = text.rfind("\n", 0, (target.key or target.node).start_mark.index) + 1
    lead = text[start : (target.key or target.node).start_mark.index]
    if lead.strip(" " if target.key is not None else " -"):
        return None
    end = end_of(target.node)
    newline = text.find("\n", end)
    rest = text[end : newline if newline >= 0 else len(text)].strip()
    if rest and not rest.startswith("#"):
        return None
    return Span(start, newline + 1 if newline >= 0 else len(text), "")


def end_of(node: yaml.Node) -> int:
    """The end of the last text of a node: a block includes comments that belong to the next item."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    text = node.start_mark.index if node.end_mark is None else node.end_mark.index
    return int(text)


def _scalar(value: str | float) -> str:
    if isinstance(value, str) and value and set(value) <= _PLAIN and data_of(f"x: {value}") == {"x": value}:
        return value
    return json.dumps(value, ensure_ascii=False)


def data_of(text: str) -> Data:
    """The data of a text; None if it has findings."""
    findings: list[Diagnostic] = []
    data, _ = parse(text, "", findings)
    return None if findings else data


def _edited(data: Any, edit: Edit, path: SpecPath) -> Any:  # noqa: ANN401 - JSON
    """The data after an edit; None if the edit is impossible."""
    # After a round trip, an alias no longer shares the object of its anchor.
    result = json.loads(json.dumps(data))
    holder = result
    for part in path[:-1]:
        holder = holder[part]
    last: Any = path[-1]
    match edit:
        case Remove():
            del holder[last]
        case Replace(_, value):
            holder[last] = value
        case Rename(_, key):
            value = holder.pop(last)
            if key in holder:
                return None
            holder[key] = value
    return result
