"""The sides of a comparison: a plan file, a compiled folder, workload sources, or those of a git revision."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler import load, report
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.plan import (
    APP,
    MOST_PROCESSES,
    ConflictError,
    Parameter,
    Plan,
    Setting,
    Value,
    Written,
)
from policycompiler.plan import file as plan_file

GIT = "git:"
LARGEST_PLAN_BYTES = 256 * 1024 * 1024
"""A plan of twenty thousand tasks has less."""
DEEPEST_LEVEL = 32
"""As deep as a workload can be."""
LARGEST_NUMBER = 10**30
"""No workload comes near it, and what is computed with it is still a number."""

_PLAN, _MANIFEST = "plan.json", "manifest.json"
_TYPES = {
    "text": """alert app broker_transport celery_version dead_letter_queue description exchange exchange_type
        environment_file executable latency node_name owner pool queue result_serializer routing_key scheduler
        service severity state_directory summary task task_default_queue task_serializer user work
        working_directory""",
    "number": """burst concurrency every_seconds for_seconds longest_delay_seconds
        longest_hold_seconds longest_run_seconds
        max_countdown_seconds memory_bytes minimum payload_bytes prefetch_multiplier queue_wait_seconds
        rate_mean_per_second rate_peak_per_second runtime_mean_seconds runtime_p50_seconds
        runtime_p99_seconds stop_timeout_seconds threshold visibility_timeout_seconds window_seconds""",
    "count": "replicas",
    "texts": "accept_content canvas earlier_names other_tasks queues renamed_from tasks workers",
    "mapping": """arguments autoscale broker_transport_options consumer_arguments cron dead_letter_arguments
        environment matchers options solar""",
    "text or null": "options.compression options.queue options.serializer",
    "variable": "broker_url_variable result_backend_variable",
}
_TYPE_OF = {key: kind for kind, keys in _TYPES.items() for key in keys.split()}
"""What other rooms count on, whatever the scope; the options of a schedule have the names of a task's."""

_COLON = re.compile(r"@\{[^}]*\}|:")
"""Those in `main@{2026-11-21 14:00:00}` are the revision's own."""
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_HALF_A_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")

_MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(ConflictError, RecursionError),
)
"""What reading a plan comes upon where a text is none."""


class SideError(Exception):
    """A side that cannot be compared at all: one line that may be printed, what was found and what to do."""


class Side(NamedTuple):
    """One of two that are compared.

    `label` is what the user called it, as it was given: not yet safe to print. `plan` is None where the
    sources make none; `compilation.diagnostics` then say why, or `compilation.nothing_read`. `document` and
    `compilation` are None for a plan that was read. `version` is the version of the program that made such a
    plan, where the manifest beside it says so. `lacks` is the policy file that was asked for and that its
    revision does not have.
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
    heed_waivers: bool = True,
) -> Side:
    """Read what `text` names; without one, the sources at `default_paths`. Raises `SideError`.

    `git:REV` are the sources at `default_paths` as that revision has them, with its own policy file;
    `git:REV:PATH` those at a path of the repository or, where it begins with `./` or `../`, of the current
    folder. A folder that a compile wrote, and a name that ends in `.json`, is a plan; all else is sources.
    """

    def compiled(label: str, sources: Sequence[Path], policy: Path | None, root: Path = Path()) -> Side:
        made = compile_workload(
            sources,
            environment=environment,
            policy=policy,
            baseline=baseline,
            targets=(),
            today=today,
            heed_waivers=heed_waivers,
            root=root,
        )
        return Side(label, made.plan, made.document, made)

    if text is None:
        return compiled(" ".join(path.as_posix() for path in default_paths), default_paths, policy)
    if not text or "\0" in text:
        raise SideError("a side has a name: a plan file, a compiled folder, sources, or `git:REV[:PATH]`")
    if text.startswith(GIT):
        revision, below = _revision(text)
        if below is not None and below.endswith(".json"):
            message = f"{text}: of a revision, sources are read and no plans; name the workload files"
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
        message = (
            f"there is no {text}; a side is a plan file, a compiled folder, sources, or `git:REV[:PATH]`"
        )
        raise _refused(message)
    return compiled(text, [Path(text)], policy) if plan is None else _of_plan(text, plan)


def _revision(text: str) -> tuple[str, str | None]:
    """The revision that a side names, and the path; None where it names none."""
    named = text.removeprefix(GIT)
    colon = next((each.start() for each in _COLON.finditer(named) if each[0] == ":"), len(named))
    return named[:colon], named[colon + 1 :] if colon < len(named) else None


def with_path_of(old: str, new: str) -> str:
    """A revision that is named without a path, with that of a new side that is one, too."""
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
    # Path.is_dir raises on what may not be looked at.
    if os.path.isdir(path):  # noqa: PTH112
        compiled = all(os.path.isfile(path / name) for name in (_PLAN, _MANIFEST))  # noqa: PTH113
        return path / _PLAN if compiled else None
    return path if text.endswith(".json") else None


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
        if _HALF_A_CHARACTER.search(text):
            # Two halves are a character; one of them cannot be written anywhere.
            json.dumps(json.loads(text), ensure_ascii=False).encode()
    except _MALFORMED:
        found = _format(text)
        if found is None or found in plan_file.READ:
            raise _no_plan(name) from None
        message = f"{name} is a plan of format {found}; this version reads formats 1 and 2; "
        message += "name its sources, or `git:REV`, instead: this version compiles those itself"
        raise _refused(message) from None
    return plan


def _no_plan(name: str) -> SideError:
    advice = "name a `plan.json` that a compile wrote, the folder it is in, or sources"
    return _refused(f"{name} is no plan; {advice}")


def _text(path: Path, name: str) -> str:
    """The text of a file of ours; `name` is what the user called it."""
    try:
        data = load.read_bounded(path, LARGEST_PLAN_BYTES + 1)
        if len(data) > LARGEST_PLAN_BYTES:
            message = f"{name} has more than {LARGEST_PLAN_BYTES} bytes; no plan has"
            raise _refused(message)
        return data.decode()
    except OSError as problem:
        message = f"{name} cannot be read: {problem.strerror}"
        raise _refused(message) from None
    except UnicodeDecodeError:
        raise _no_plan(name) from None


def _format(text: str) -> int | None:
    """The format that a text says it has."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = document.get("format") if isinstance(document, dict) and "settings" in document else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _sound(setting: Setting) -> bool:
    """Whether a setting has the types that every setting has."""
    scope, key, value, because, origins, policy = setting
    # What was read from a file need not be what its type says; a large plan has some 200,000 of them.
    texts: tuple[object, ...] = (because, policy)
    for text in texts:
        if not isinstance(text, str):
            return False
    for origin in origins:
        if isinstance(origin, Written | Parameter) and not _is_path(origin.path):
            return False
    plain = isinstance(value, str) or _plain(value)
    # An alert may be about no queue; all else that has one names it.
    queueless = value is None and key == "queue" and scope.kind == "alert"
    return bool(scope.kind and key) and plain and (queueless or _typed(key, value))


def _is_path(path: Sequence[object]) -> bool:
    for part in path:
        if not isinstance(part, str | int):
            return False
    return bool(path)


def _typed(key: str, value: Value) -> bool:
    kind = _TYPE_OF.get(key)
    if kind is None:
        return True
    if kind in ("number", "count"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or value in range(MOST_PROCESSES + 1))
    if kind == "texts":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if kind == "mapping":
        return isinstance(value, dict) and all(_typed(f"{key}.{below}", value[below]) for below in value)
    if kind == "text or null" and value is None:
        return True
    return isinstance(value, str) and (kind != "variable" or bool(_VARIABLE.fullmatch(value)))


def _plain(value: Value, level: int = 0) -> bool:
    """Whether a value is finite, a number that one can reckon with, and no deeper than a workload can be."""
    if isinstance(value, int | float):
        # Nothing is true of what is no number.
        return abs(value) <= LARGEST_NUMBER
    if not isinstance(value, dict | list):
        return True
    below = value.values() if isinstance(value, dict) else value
    return level < DEEPEST_LEVEL and all(_plain(each, level + 1) for each in below)


def _version(manifest: Path) -> str:
    """The version of the program that wrote a folder; empty where its manifest does not say."""
    try:
        version = json.loads(_text(manifest, _MANIFEST))["version"]
    except (SideError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    return version if isinstance(version, str) else ""
