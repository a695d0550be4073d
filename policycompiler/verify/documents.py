"""Where compiled files say something else than the plan beside them, value by value.

A document is compared with what this version writes for the plan. Blanks, comments and the order of keys do
not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from policycompiler import emitters
from policycompiler.diagnostics import Diagnostic, Place
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan
from policycompiler.reality import checkers
from policycompiler.verify.agreement import FILE_DISAGREES

MOST_DIFFERENCES = 20
"""Of one file; a reader compiles again before reading more."""
_LONGEST_VALUE = 60
_LONGEST_PROBLEM = 200
_PLAN = "plan.json"
_COMMENTS = ("# ", "; ", "#!")

Difference = tuple[str, str]
"""Where, and what."""
Compare = Callable[[str, OutputFile, Path, Mapping[str, str]], Iterator[Difference]]
"""Compares a text with the planned file; the folder and the variables are those that a module needs."""


def findings(
    plan: Plan, folder: Path, names: Iterable[str], variables: Mapping[str, str]
) -> Iterator[Diagnostic]:
    """The differences of the files of a compiled folder, by their names in it.

    `variables` are those that the settings need to be loaded.
    """
    made = {file.path: file for file in emitters.emit(plan)}
    for name in sorted(set(names).intersection(made) - {_PLAN}):
        compare = _comparison(name)
        text = (folder / name).read_text("utf-8", errors="replace")
        for where, what in islice(compare(text, made[name], folder, variables), MOST_DIFFERENCES):
            place = Place((folder / name).as_posix(), _line(text, where), 1)
            yield FILE_DISAGREES.at((), f"`{where}`: {what}", help="compile again", place=place)


def _comparison(name: str) -> Compare:
    if name.endswith((".yaml", ".json")):
        return _structures
    return _settings if name == "celeryconfig.py" else _lines


def _structures(
    text: str, made: OutputFile, folder: Path, variables: Mapping[str, str]
) -> Iterator[Difference]:
    del folder, variables
    try:
        found = _load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        yield made.path, f"cannot be read: {' '.join(str(problem).split())[:_LONGEST_PROBLEM]}"
        return
    yield from _differences(found, _load(made.text), "")


def _load(text: str) -> Any:  # noqa: ANN401 - any document
    if text.lstrip().startswith("{"):
        return json.loads(text)
    documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    return documents[0] if len(documents) == 1 else documents


def _differences(found: object, planned: object, path: str) -> Iterator[Difference]:
    if isinstance(found, dict) and isinstance(planned, dict):
        for key in [*planned, *(key for key in found if key not in planned)]:
            below = f"{path}.{key}".lstrip(".")
            if key not in found:
                yield below, "is missing"
            elif key not in planned:
                yield below, "is not planned"
            else:
                yield from _differences(found[key], planned[key], below)
    elif isinstance(found, list) and isinstance(planned, list) and len(found) == len(planned):
        for at, (one, other) in enumerate(zip(found, planned, strict=True)):
            yield from _differences(one, other, f"{path}.{at}".lstrip("."))
    elif type(found) is not type(planned) or found != planned:
        yield path or "the document", f"is {_shown(found)}, planned {_shown(planned)}"


def _settings(
    text: str, made: OutputFile, folder: Path, variables: Mapping[str, str]
) -> Iterator[Difference]:
    """The settings of a module that loads; otherwise the checkers report why it does not."""
    found, planned = (checkers.settings(each, folder, variables) for each in (text, made.text))
    if found is None or planned is None:
        return
    for name in sorted({*found, *planned}):
        if name not in found:
            yield name, "is missing"
        elif name not in planned:
            yield name, "is not planned"
        elif found[name] != planned[name]:
            yield name, "has another value than planned"


def _lines(text: str, made: OutputFile, folder: Path, variables: Mapping[str, str]) -> Iterator[Difference]:
    del folder, variables
    found, planned = (
        [line.rstrip() for line in each.splitlines() if line.strip() and not line.startswith(_COMMENTS)]
        for each in (text, made.text)
    )
    for line in sorted(set(planned) - set(found)):
        yield line, "is missing"
    for line in sorted(set(found) - set(planned)):
        yield line, "is not planned"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _line(text: str, where: str) -> int:
    """The line of a path in a document, or of a line itself; 1 if it is not there."""
    for at, line in enumerate(text.splitlines(), 1):
        if line.startswith(where):
            return at
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return 1
    node = documents[0] if len(documents) == 1 else yaml.SequenceNode("", documents)
    return _line_below(node, where, 0) + 1


def _line_below(node: object, path: str, line: int) -> int:
    """The line of the last part of a path that is there; keys may have dots."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if path == key.value or path.startswith(f"{key.value}."):
                return _line_below(value, path[len(key.value) + 1 :], key.start_mark.line)
    if isinstance(node, yaml.SequenceNode):
        number, _, rest = path.partition(".")
        if number.isdigit() and int(number) < len(node.value):
            found = node.value[int(number)]
            return _line_below(found, rest, found.start_mark.line)
    return line
