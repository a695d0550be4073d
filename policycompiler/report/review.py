"""A review with the places of its changes: its JSON, and the parts that formats for people share."""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from policycompiler.diagnostics import SECRET_WORDS, Place, SpecPath
from policycompiler.findings.acknowledge import Answer, is_entry
from policycompiler.load import Document
from policycompiler.plan import Value
from policycompiler.quantities import size
from policycompiler.report.change_titles import kinds_counted, silent, value_in_words, when
from policycompiler.report.located import answered, place_data
from policycompiler.report.size_changes import size_changes_data
from policycompiler.report.text import MASK, clean, counted, masked
from policycompiler.report.values import masked_data
from policycompiler.review import OUTPUT, Change, Class, Review, Step
from policycompiler.review.conditions import Action, Condition
from policycompiler.review.facts.sizes import NOTHING, Resized, Size

FORMAT = 2

_SECRET = re.compile(rf"(?i)(?:{SECRET_WORDS})$")
_TIMES = (("next", "next firings"), ("around_dst", "around a change of the clocks"))


class Half(NamedTuple):
    """One side of a comparison: the name that the user gave it, and its sources, where it has any.

    `errors` is the number of its errors that no waiver covers; its plan is then incomplete. `lacks` is the
    policy file of the other side, where this revision does not have it.
    """

    label: str
    document: Document | None
    errors: int = 0
    lacks: str = ""


class Reviewed(NamedTuple):
    """A review to print, with the waiver of each of its changes in `answers`.

    `name` is the service and its environment. `elsewhere` are the environments that differ too, and are not
    compared.
    """

    review: Review
    old: Half
    new: Half
    answers: Sequence[Answer]
    name: str = ""
    elsewhere: Sequence[str] = ()


class Shown(NamedTuple):
    """A change and its waiver; `alike` are changes that differ from it only in the name."""

    change: Change
    answer: Answer
    alike: tuple[Change, ...] = ()

    @property
    def number(self) -> int:
        """The number of changes."""
        return 1 + len(self.alike)


_UNCHANGED = "no changes"
_VERDICTS: Mapping[Class, str] = {
    Class.SAFE: "deploy in one step, in any order",
    Class.ORDERED: "safe only in the order of the steps",
    Class.MANUAL: "a person must act or decide first",
    Class.LOSSY: "work can be lost or repeated, in any order",
}


def worst(review: Review, errors: int = 0) -> Class | None:
    """The worst class, None without changes; at least manual where the new side has errors."""
    found = [review.verdict, Class.MANUAL if errors else None]
    return max((risk for risk in found if risk), key=lambda risk: risk.rank, default=None)


def verdict(review: Review, errors: int = 0) -> tuple[str, str]:
    """The verdict in words, and the number of changes by kind; empty without changes."""
    risk = worst(review, errors)
    if risk is None:
        return _UNCHANGED, ""
    return f"{risk} — {_VERDICTS[risk]}", kinds_counted(review.changes) or _UNCHANGED


def doubts(reviewed: Reviewed) -> tuple[str, ...]:
    """A sentence about errors of the new side, or an empty one; then what the review does not show."""
    old, new = reviewed.old, reviewed.new
    wrong = (
        f"{clean(new.label)} has {counted(new.errors, 'error')} (run `policycompiler check`): "
        "this review is incomplete, and `compile` writes nothing"
    )
    late = (
        f"{clean(old.label)} has {counted(old.errors, 'error')} under the current rules: "
        "some changes may appear as new"
    )
    unruled = (
        f"{clean(half.label)} has no {clean(half.lacks)}: it is compared without a policy file"
        for half in (old, new)
        if half.lacks
    )
    names = ", ".join(map(clean, reviewed.elsewhere))
    unseen = f"environments that also differ and are not compared: {names}; use `--env NAME` to compare one"
    return (
        wrong if new.errors else "",
        *([late] if old.errors else []),
        *unruled,
        *([unseen] if names else []),
    )


def shown(reviewed: Reviewed) -> tuple[list[Shown], list[Shown], int]:
    """The risky changes, the safe changes that get a line, and the number of those without one."""
    pairs = list(map(Shown, reviewed.review.changes, reviewed.answers))
    risky = [each for each in pairs if each.change.risk is not Class.SAFE]
    safe = [each for each in pairs if each.change.risk is Class.SAFE]
    lines = [each for each in safe if not silent(each.change)]
    return gathered(risky), gathered(lines), len(safe) - len(lines)


def gathered(pairs: Iterable[Shown]) -> list[Shown]:
    """Changes that differ only in the name become one entry: the first of them, with the others."""
    groups: dict[Hashable, list[Shown]] = {}
    for each in pairs:
        groups.setdefault(_but_for_its_name(each), []).append(each)
    return [first._replace(alike=tuple(each.change for each in others)) for first, *others in groups.values()]


def _but_for_its_name(each: Shown) -> Hashable:
    change, answer, _ = each
    values = json.dumps([change.old, change.new], sort_keys=True)
    about = change.scope.kind, change.key
    return change.risk, change.kind, about, values, change.because, change.policy, answer


def answer_line(answer: Answer) -> str:
    """Who answers for a change, or why the waiver does not count; empty where there is none."""
    return f"acknowledged {answered(answer.waived)}" if answer.waived else clean(answer.note)


def where(half: Half, path: SpecPath) -> str:
    """Where something was written: file, line and column, or its path where there are no sources."""
    if not path:
        return ""
    place = half.document.place(path, key=is_entry(path)) if half.document else None
    if place is None or not place.file:
        return clean(".".join(str(part) for part in path))
    return clean(f"{place.file}:{place.line}:{place.column}")


def aside(reviewed: Reviewed, change: Change) -> str:
    """Where a reader finds a change, behind a dash: on the new side, else where it was; else nothing."""
    new, old = where(reviewed.new, change.new_path), where(reviewed.old, change.old_path)
    return f" — {new}" if new else f" — was {old}" if old else ""


def on_both_sides(reviewed: Reviewed, change: Change) -> str:
    """Where a change was written on either side, behind a dash; nothing where nobody wrote it."""
    new, old = where(reviewed.new, change.new_path), where(reviewed.old, change.old_path)
    told = ", ".join(filter(None, (new, f"was {old}" if old else "")))
    return f" — {told}" if told else ""


def in_full(change: Change, value: Value) -> str:
    """A value of a change on a line, whatever its length."""
    if value is None:
        return "not set"
    if change.kind == "schedule-shifted" and isinstance(value, dict):
        return clean(when(value))
    return value_in_words(change.scope, change.key, value)


def times(change: Change) -> Iterator[str]:
    """The next firings of a shifted or replaced schedule, before and after, a line each."""
    stands_in = change.kind == "schedule-added" and change.risk is Class.MANUAL
    if change.kind == "schedule-shifted" or stands_in:
        for key, label in _TIMES:
            for side, value in (("before", change.old), ("after", change.new)):
                found = value.get(key) if isinstance(value, dict) else None
                if isinstance(found, list) and found:
                    yield f"{label}, {side}: {', '.join(clean(str(time)) for time in found)}"


def capacity(review: Review) -> list[str]:
    """The size of each resized worker before → after, and the size of all workers together."""
    if review.capacity is None:
        return []
    lines = [f"worker `{clean(each.worker)}`: {_sizes(each)}" for each in review.resized]
    return [*lines, f"all workers: {_sizes(review.capacity)}"]


def _sizes(each: Resized) -> str:
    return f"{_size(each.before)} → {_size(each.after)}"


def _size(found: Size) -> str:
    if found == NOTHING:
        return "none"
    replicas = f"{found.replicas} process{'' if found.replicas == 1 else 'es'}"
    memory = "" if found.memory_bytes is None else f", {size(found.memory_bytes)} of memory"
    return f"{replicas}, {counted(found.slots, 'slot')}{memory}"


def processes(step: Step) -> list[tuple[str, str]]:
    """The actions of a step with their processes, in order."""
    named = [
        ("start", step.start),
        ("restart", step.restart),
        ("reload", step.reload),
        ("stop", step.stop),
    ]
    return [(verb, ", ".join(_process(each) for each in which)) for verb, which in named if which]


def _process(process: str) -> str:
    kind, _, name = process.partition(":")
    return clean(f"{kind} `{name}`" if name else kind)


def deployed(folder: str) -> str:
    """The folder of a step in words; empty where the step deploys nothing."""
    return "the output folder" if folder == OUTPUT else f"`{clean(folder)}`" if folder else ""


def review_json(reviewed: Reviewed) -> str:
    """The review for machines, canonical, as `compile --rollout` writes it. Ends with a newline."""
    review, errors = reviewed.review, reviewed.new.errors
    risk = worst(review, errors)
    data: dict[str, Value] = {
        "format": FORMAT,
        "verdict": "none" if risk is None else risk.value,
        **({"errors": errors} if errors else {}),
        "changes": [_change_data(reviewed, change) for change in review.changes],
        **({"capacity": _capacity_data(review, review.capacity)} if review.capacity else {}),
        **({"sizes": sizes} if (sizes := size_changes_data(review)) else {}),
        "steps": [_step_data(step) for step in review.steps],
    }
    # ASCII, so that no control or bidirectional character reaches a terminal.
    return json.dumps(_masked(data), indent=2, sort_keys=True) + "\n"


def _capacity_data(review: Review, whole: Resized) -> Value:
    workers: list[Value] = [
        {"worker": each.worker, "old": _size_data(each.before), "new": _size_data(each.after)}
        for each in review.resized
    ]
    return {
        "workers": workers,
        "total": {"old": _size_data(whole.before), "new": _size_data(whole.after)},
    }


def _size_data(found: Size) -> Value:
    return {"replicas": found.replicas, "slots": found.slots, "memory_bytes": found.memory_bytes}


def _masked(value: Value) -> Value:
    """The same data with passwords masked, also in keys and below a key that names a secret."""
    match value:
        case list():
            return [_masked(item) for item in value]
        case dict():
            return {
                masked(key): MASK if isinstance(item, str) and _SECRET.search(key) else _masked(item)
                for key, item in value.items()
            }
    return masked_data(value)


def _change_data(reviewed: Reviewed, change: Change) -> Value:
    return {
        "class": change.risk.value,
        "kind": change.kind,
        "address": change.address,
        "because": change.because,
        "old": change.old,
        "new": change.new,
        "policy": change.policy,
        "follows": change.follows,
        "old_at": _at(reviewed.old.document, change.old_path),
        "new_at": _at(reviewed.new.document, change.new_path),
    }


def _at(document: Document | None, path: SpecPath) -> Value:
    place = Place("", 1, 1)
    if document is not None and path:
        place = document.place(path, key=is_entry(path))
        place = place._replace(file=_relative(document, place.file))
    return {"path": list(path), **place_data(place)}


def _relative(document: Document, file: str) -> str:
    """The name of a file; an absolute one becomes relative to the common folder of all sources."""
    if not Path(file).is_absolute():
        return file
    folders = {str(Path(name).parent) for name in document.texts if Path(name).is_absolute()}
    return Path(os.path.relpath(file, os.path.commonpath(folders))).as_posix()


def _step_data(step: Step) -> Value:
    return {
        "phase": step.phase,
        "action": step.action,
        "why": step.why,
        "undo": step.undo,
        "folder": step.folder,
        "start": list(step.start),
        "restart": list(step.restart),
        "reload": list(step.reload),
        "stop": list(step.stop),
        "wait_for": _typed(step.wait_for),
        "run": _typed(step.run),
        "undo_wait_for": _typed(step.undo_wait_for),
        "undo_run": _typed(step.undo_run),
        "by_hand": step.by_hand,
    }


def _typed(parts: Sequence[Condition | Action]) -> list[Value]:
    """Each with its sentence and its values."""
    return [{"says": each.says, **_plain(asdict(each))} for each in parts]


def _plain(data: dict[str, Any]) -> dict[str, Value]:
    return {key: [*map(_listed, value)] if isinstance(value, tuple) else value for key, value in data.items()}


def _listed(value: Any) -> Value:  # noqa: ANN401 - text, number, or the data of a worker
    return _plain(value) if isinstance(value, dict) else value
