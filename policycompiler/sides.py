"""The sides of a comparison: a plan file, a compiled folder, workload sources, or a git revision."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler import load, report
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.knowledge import brokers
from policycompiler.plan import (
    APP,
    MOST_PROCESSES,
    ConflictError,
    Parameter,
    Plan,
    Setting,
    UndecidedError,
    Value,
    Written,
    vocabulary,
)
from policycompiler.plan import file as plan_file
from policycompiler.plan.vocabulary import Type
from policycompiler.quantities import size

GIT = "git:"
LARGEST_PLAN_BYTES = 256 * 1024 * 1024
"""A plan of 20,000 tasks is smaller."""
DEEPEST_LEVEL = 32
"""The maximum depth of a workload."""
LARGEST_NUMBER = 10**30
"""Larger than any number in a workload, and still safe to compute with."""

_PLAN, _MANIFEST = "plan.json", "manifest.json"
_COLON = re.compile(r"@\{[^}]*\}|:")
"""Colons as in `main@{2026-11-21 14:00:00}` belong to the revision."""
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_HALF_A_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")

_MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(ConflictError, RecursionError),
)
"""The errors from reading a text that is not a plan."""


class SideError(Exception):
    """A side that cannot be compared: one printable line with the problem and what to do."""


class Side(NamedTuple):
    """One side of a comparison.

    `label` is the user's name for it, which is not yet safe to print. `plan` is None if the sources have no
    plan; `compilation.diagnostics` or `compilation.nothing_read` then says why. `document` and `compilation`
    are None for a plan that was read from a file. `version` is the version of the program that wrote that
    plan, if its manifest has one. `lacks` is the requested policy file, if the revision does not have it.
    """

    label: str
    plan: Plan | None
    document: load.Document | None = None
    compilation: Compilation | None = None
    version: str = ""
    lacks: str = ""


def read_side(
    text: str | None,
    *,
    default_paths: Sequence[Path] = (),
    environment: str | None = None,
    policy: Path | None = None,
    baseline: Path | None = None,
    today: date | None = None,
    apply_waivers: bool = True,
) -> Side:
    """Read the side that `text` names; without one, the sources at `default_paths`. Raises `SideError`.

    `git:REV` stands for the sources at `default_paths` in that revision, with its own policy file.
    `git:REV:PATH` stands for the sources at a path of the repository. A PATH that starts with `./` or `../`
    is relative to the current folder. A compiled folder and a name that ends in `.json` are plans. Everything
    else is sources.
    """

    def compiled(label: str, sources: Sequence[Path], policy: Path | None, root: Path = Path()) -> Side:
        made = compile_workload(
            sources,
            environment=environment,
            policy=policy,
            baseline=baseline,
            targets=(),
            today=today,
            apply_waivers=apply_waivers,
            root=root,
        )
        return Side(label, made.plan, made.document, made)

    if text is None:
        return compiled(" ".join(path.as_posix() for path in default_paths), default_paths, policy)
    if not text or "\0" in text:
        raise SideError(
            "a side is empty or invalid; name a plan file, a compiled folder, sources, or `git:REV[:PATH]`"
        )
    if text.startswith(GIT):
        revision, below = _revision(text)
        if below is not None and below.endswith(".json"):
            message = f"{text}: a revision is read from its sources, not from a plan; name the workload files"
            raise _refused(message)
        sources = default_paths if below is None else [Path(below)]
        from_here = below is None or below.split("/")[0] in {".", ".."}
        try:
            with load.at_revision(revision, sources, policy, from_top=not from_here) as extract:
                side = compiled(text, extract.sources, extract.policy, extract.root)
            lacks = policy.as_posix() if policy is not None and extract.policy is None else ""
            return side._replace(lacks=lacks)
        except load.RevisionError as problem:
            raise _refused(str(problem)) from None
    plan = plan_path(text)
    if plan is None and not os.path.lexists(text):
        message = f"{text} does not exist; name a plan file, a compiled folder, sources, or `git:REV[:PATH]`"
        raise _refused(message)
    return compiled(text, [Path(text)], policy) if plan is None else _of_plan(text, plan)


def _revision(text: str) -> tuple[str, str | None]:
    """The revision of a side, and its path; None without a path."""
    named = text.removeprefix(GIT)
    colon = next((each.start() for each in _COLON.finditer(named) if each[0] == ":"), len(named))
    return named[:colon], named[colon + 1 :] if colon < len(named) else None


@contextmanager
def complete(side: Side) -> Iterator[Plan]:
    """The plan of a side that has one. Raises `SideError` if the block reads a setting that it lacks."""
    assert side.plan is not None, f"{side.label} has no plan"
    try:
        yield side.plan
    except UndecidedError as problem:
        message = f"{side.label} is not a complete plan: {problem}; compile its sources again"
        raise _refused(message) from None


def with_path_of(old: str, new: str) -> str:
    """An old revision without a path, with the path of the new side if that is a revision too."""
    if not (old.startswith(GIT) and new.startswith(GIT)):
        return old
    path = _revision(new)[1]
    return old if path is None or _revision(old)[1] is not None else f"{old}:{path}"


def is_sources(text: str) -> bool:
    """Whether a side names workload files of the current state, rather than a plan or a revision."""
    return not text.startswith(GIT) and "\0" not in text and plan_path(text) is None


def plan_path(text: str) -> Path | None:
    """The file of the plan that a side names; None for sources and for a revision."""
    if text.startswith(GIT) or "\0" in text:
        return None
    path = Path(text)
    # Path.is_dir raises on inaccessible paths.
    if os.path.isdir(path):  # noqa: PTH112
        compiled = all(os.path.isfile(path / name) for name in (_PLAN, _MANIFEST))  # noqa: PTH113
        return path / _PLAN if compiled else None
    return path if text.endswith(".json") else None


def told_if_inside(text: str, folder: Path) -> str:
    """What to say about a plan in the folder that a compile writes to; empty for other folders.

    The next compile would find nothing to do, and a check would compare the folder with itself.
    """
    plan = plan_path(text)
    if plan is None or not Path(os.path.realpath(plan)).is_relative_to(os.path.realpath(folder)):
        return ""
    told = f"{text} is in the output folder of this compile, which replaces it; name a copy of the "
    return report.clean(told + "deployed `plan.json`, or `git:REV`")


def _refused(message: str) -> SideError:
    return SideError(report.clean(message))


def _of_plan(label: str, path: Path) -> Side:
    version = _version(path.with_name(_MANIFEST)) if path.name == _PLAN else ""
    return Side(label, _plan(path, label), version=version)


def _plan(path: Path, name: str) -> Plan:
    text = _text(path, name)
    try:
        plan = plan_file.from_json(text)
        if any(not _sound(setting) for setting in plan) or not plan.keys(APP):
            raise _no_plan(name)
        transport = plan.get(APP, "broker_transport")
        if transport is not None and transport not in brokers.BROKERS:
            message = f"{name} is for the broker `{transport}`, which this version does not know; "
            message += f"known are {', '.join(brokers.BROKERS)}"
            raise _refused(message)
        if _HALF_A_CHARACTER.search(text):
            # Two surrogates are a character; a lone surrogate cannot be written.
            json.dumps(json.loads(text), ensure_ascii=False).encode()
    except _MALFORMED:
        found = _format(text)
        if found is None or found in plan_file.READ:
            raise _no_plan(name) from None
        message = f"{name} is a plan of format {found}, but this version reads formats 1 and 2; "
        message += "name its sources or `git:REV` instead, which this version compiles"
        raise _refused(message) from None
    return plan


def _no_plan(name: str) -> SideError:
    advice = "name a `plan.json` that a compile wrote, its folder, or sources"
    return _refused(f"{name} is not a plan; {advice}")


def _text(path: Path, name: str) -> str:
    """The text of a file that this program wrote; `name` is the user's name for it."""
    try:
        data = load.read_bounded(path, LARGEST_PLAN_BYTES + 1)
        if len(data) > LARGEST_PLAN_BYTES:
            message = f"{name} is larger than {size(LARGEST_PLAN_BYTES)}, so it is not a plan"
            raise _refused(message)
        return data.decode()
    except OSError as problem:
        message = f"{name} cannot be read: {problem.strerror}"
        raise _refused(message) from None
    except UnicodeDecodeError:
        raise _no_plan(name) from None


def _format(text: str) -> int | None:
    """The format number in a text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = document.get("format") if isinstance(document, dict) and "settings" in document else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _sound(setting: Setting) -> bool:
    """Whether the parts of a setting have the right types."""
    scope, key, value, because, origins, policy = setting
    # A value from a file may not have its declared type; a large plan has about 200,000 settings.
    texts: tuple[object, ...] = (because, policy)
    for text in texts:
        if not isinstance(text, str):
            return False
    for origin in origins:
        if isinstance(origin, Written | Parameter) and not _is_path(origin.path):
            return False
    plain = isinstance(value, str) or _plain(value)
    return bool(scope.kind and key) and plain and _typed(scope.kind, key, value)


def _is_path(path: Sequence[object]) -> bool:
    for part in path:
        if not isinstance(part, str | int):
            return False
    return bool(path)


def _typed(kind: str, name: str, value: Value) -> bool:
    """Whether a value has the declared type of its key; an unknown key accepts any type."""
    key = vocabulary.find(kind, name)
    if key is None or key.type is Type.ANY or (value is None and key.nullable):
        return True
    if not _IS[key.type](value):
        return False
    # The options of a schedule have the names of a task's.
    options = value if (kind, name) == ("schedule", "options") and isinstance(value, dict) else {}
    return all(
        _typed("task", each if each == "queue" else f"options.{each}", options[each]) for each in options
    )


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_IS: Mapping[Type, Callable[[Value], bool]] = {
    Type.TEXT: lambda value: isinstance(value, str),
    Type.VARIABLE: lambda value: isinstance(value, str) and bool(_VARIABLE.fullmatch(value)),
    Type.FLAG: lambda value: isinstance(value, bool),
    Type.NUMBER: _is_number,
    Type.COUNT: lambda value: _is_number(value) and value in range(MOST_PROCESSES + 1),
    Type.TEXTS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    Type.LIST: lambda value: isinstance(value, list),
    Type.MAPPING: lambda value: isinstance(value, dict),
}


def _plain(value: Value, level: int = 0) -> bool:
    """Whether a value is finite, safe to compute with, and not deeper than a workload can be."""
    if isinstance(value, int | float):
        # Every comparison with NaN is false.
        return abs(value) <= LARGEST_NUMBER
    if not isinstance(value, dict | list):
        return True
    below = value.values() if isinstance(value, dict) else value
    return level < DEEPEST_LEVEL and all(_plain(each, level + 1) for each in below)


def _version(manifest: Path) -> str:
    """The version of the program that wrote a folder; empty if its manifest has none."""
    try:
        version = json.loads(_text(manifest, _MANIFEST))["version"]
    except (SideError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    return version if isinstance(version, str) else ""
