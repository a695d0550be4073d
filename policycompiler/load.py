"""Text to data: strict YAML with a line and column for every value; several files and an environment to one.

Values are built straight from libyaml's events, several times cheaper than PyYAML's load and with
positions kept in a tree of marks beside the plain data. Where YAML 1.1 and 1.2 read a plain scalar
differently (`010`, `1_000`, `12:30`, `1e3`) it is refused; `yes/no/on/off` and dates are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias, cast

import yaml

from policycompiler.diagnostics import Diagnostic, Finding, Place, Related, SpecPath, error, info

LARGEST_FILE_BYTES = 16 * 1024 * 1024
DEEPEST_LEVEL = 32
MOST_VALUES = 4_000_000
MOST_ANCHORS = 100
MOST_ALIASED_VALUES = 10_000
LONGEST_INTEGER_DIGITS = 18

UNREADABLE = error("PC001", "unreadable-file")
INVALID_YAML = error("PC002", "invalid-yaml")
DUPLICATE_KEY = error("PC003", "duplicate-key")
UNSUPPORTED_YAML = error("PC004", "unsupported-yaml")
AMBIGUOUS_SCALAR = error("PC005", "ambiguous-scalar")
TOO_LARGE = error("PC006", "document-too-large")
CONTROL_CHARACTER = error("PC007", "control-character")
NOT_A_MAPPING = error("PC008", "not-a-mapping")
DECLARED_TWICE = error("PC009", "declared-twice")
UNKNOWN_ENVIRONMENT = error("PC010", "unknown-environment")
UNUSED_DEFAULTS = info("PC011", "unused-defaults")

_NAMED_SECTIONS = ("tasks", "queues", "workers", "schedules", "hosts")
_PER_FILE = ("version", "owner", "defaults", "environments")

Data: TypeAlias = "None | bool | int | float | str | list[Data] | dict[str, Data]"
_Mapping = dict[str, Data]


class Mark(NamedTuple):
    """Where a value stands, where its key stands, and the marks of what it holds."""

    place: Place
    key_place: Place
    children: dict[str | int, Mark]


class Document(NamedTuple):
    """The sources of one compile, merged: plain data, its marks, and the texts by file name."""

    data: _Mapping
    marks: Mark
    texts: Mapping[str, str]

    def place(self, path: SpecPath, *, key: bool = False) -> Place:
        """Where a path stands; of a path that is not there, where its nearest parent stands."""
        mark = self.marks
        for part in path:
            child = mark.children.get(part)
            if child is None:
                return mark.place
            mark = child
        return mark.key_place if key else mark.place


_NO_CHILDREN: dict[str | int, Mark] = {}


class _Stop(Exception):  # noqa: N818 - not an error of the program
    """Carries the finding that makes the rest of a file unreadable."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def find_sources(sources: Iterable[Path]) -> list[Path]:
    """The workload files behind files and folders, in order; of a folder every .yaml and .yml below it."""
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += sorted(
                path for path in source.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file()
            )
        else:
            found.append(source)
    return list(dict.fromkeys(found))


def load(files: Iterable[Path], environment: str | None = None) -> tuple[Document, list[Diagnostic]]:
    """Read, check and merge workload files. The document is usable only when no finding is an error."""
    texts: dict[str, str] = {}
    findings: list[Diagnostic] = []
    parsed: list[tuple[_Mapping, Mark]] = []
    for path in files:
        name = path.as_posix()
        try:
            texts[name] = _read(path, name)
            parsed.append(parse(texts[name], name, findings))
        except _Stop as stop:
            findings.append(stop.diagnostic)
    if environment is not None and not findings:
        parsed = _with_environment(parsed, environment, findings)
    data, marks = _merged(parsed, findings)
    return Document(data, marks, texts), findings


def _read(path: Path, name: str) -> str:
    start = Place(name, 1, 1)
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= LARGEST_FILE_BYTES else b""
    except OSError as problem:
        message = f"cannot be read: {problem.strerror or problem}"
        raise _Stop(UNREADABLE.at((), message, place=start)) from None
    if size > LARGEST_FILE_BYTES:
        message = f"{size} bytes; a workload file has at most {LARGEST_FILE_BYTES}"
        raise _Stop(TOO_LARGE.at((), message, place=start, help="split it into several files"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start].decode("utf-8", "replace")
        place = Place(name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        message = f"byte 0x{raw[problem.start]:02x} is not UTF-8"
        raise _Stop(UNREADABLE.at((), message, place=place, help="save the file as UTF-8")) from None


def parse(text: str, name: str, findings: list[Diagnostic]) -> tuple[_Mapping, Mark]:
    """One file's text as data and marks; what is wrong but can be stepped over goes to `findings`."""
    builder = _Builder(name, findings)
    try:
        value, mark = builder.document(text)
    except yaml.MarkedYAMLError as problem:
        at = problem.problem_mark or problem.context_mark
        place = Place(name, at.line + 1, at.column + 1) if at else Place(name, 1, 1)
        message = " ".join(str(part) for part in (problem.problem, problem.context) if part)
        raise _Stop(INVALID_YAML.at((), message, place=place)) from None
    except yaml.reader.ReaderError as problem:
        raise _Stop(_unreadable_character(text, name, problem)) from None
    except yaml.YAMLError as problem:
        raise _Stop(INVALID_YAML.at((), str(problem), place=Place(name, 1, 1))) from None
    if not isinstance(value, dict):
        found = "nothing" if value is None else type(value).__name__
        message = f"a workload file holds a mapping; found {found}"
        help_text = "start with `version: 1` and `service: NAME`"
        raise _Stop(NOT_A_MAPPING.at((), message, place=mark.place, help=help_text))
    return value, mark


def _unreadable_character(text: str, name: str, problem: yaml.reader.ReaderError) -> Diagnostic:
    code = problem.character if isinstance(problem.character, int) else ord(problem.character[:1] or "\0")
    offset = text.find(chr(code))
    before = text[: max(offset, 0)]
    place = Place(name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    message = f"character U+{code:04X} may not stand in YAML"
    return CONTROL_CHARACTER.at((), message, place=place, help="remove it")


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+][0-9]+)?")
# What some YAML reader takes for a number, and another for a different number or for text.
_AMBIGUOUS = re.compile(
    r"[-+]?(?:0[xob]?[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]*_[0-9_]*(?:\.[0-9_]*)?|0[0-9_]*\.[0-9_]*|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*\.?[0-9_]*[eE][-+]?[0-9]+|[0-9][0-9_]*\.[0-9_]*)"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_START = frozenset("0123456789+-.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u2028\u2029\ufeff]")


class _Builder:
    """Builds one document from libyaml's events."""

    def __init__(self, name: str, findings: list[Diagnostic]) -> None:
        self.name = name
        self.findings = findings
        self.values = 0
        self.aliased_values = 0
        self.anchors: dict[str, tuple[Data, Mark, int]] = {}
        self.open_anchors: set[str] = set()

    def document(self, text: str) -> tuple[Data, Mark]:
        events = cast("Iterator[yaml.Event]", yaml.parse(text, Loader=yaml.CSafeLoader))
        next(events)
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            place = Place(self.name, 1, 1)
            return None, Mark(place, place, {})
        value, mark = self.value(events, next(events), None, 0)
        next(events)
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.stop(UNSUPPORTED_YAML, event, "a second document begins here", "one file, one document")
        return value, mark

    def value(
        self, events: Iterator[yaml.Event], event: yaml.Event, key_place: Place | None, depth: int
    ) -> tuple[Data, Mark]:
        start = event.start_mark
        place = Place(self.name, start.line + 1, start.column + 1)
        self.values += 1
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor is None:
                return self.scalar(event, place), Mark(place, key_place or place, _NO_CHILDREN)
        elif isinstance(event, yaml.AliasEvent):
            return self.alias(event, place, key_place or place)
        if depth > DEEPEST_LEVEL or self.values > MOST_VALUES:
            limit = f"{DEEPEST_LEVEL} levels deep and {MOST_VALUES} values large"
            self.stop(TOO_LARGE, event, f"a workload is at most {limit}", "split or flatten it")
        anchor = self.open_anchor(event)
        values_before = self.values
        mark = Mark(place, key_place or place, {})
        value: Data
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, place)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self.mapping(events, mark, depth)
        else:
            value = self.sequence(events, mark, depth)
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse_tag(event)
        if anchor is not None:
            self.open_anchors.discard(anchor)
            self.anchors[anchor] = (value, mark, self.values - values_before + 1)
        return value, mark

    def mapping(self, events: Iterator[yaml.Event], mark: Mark, depth: int) -> _Mapping:
        result: _Mapping = {}
        children = mark.children
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            start = event.start_mark
            place = Place(self.name, start.line + 1, start.column + 1)
            key = self.key(event, place)
            value, child = self.value(events, next(events), place, depth + 1)
            if key in result:
                first = children[key].key_place
                related = (Related((), "first given here", first),)
                self.findings.append(
                    DUPLICATE_KEY.at((), f"`{key}` is given twice", place=place, related=related)
                )
                continue
            result[key] = value
            children[key] = child
        return result

    def sequence(self, events: Iterator[yaml.Event], mark: Mark, depth: int) -> list[Data]:
        result: list[Data] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            value, child = self.value(events, event, None, depth + 1)
            mark.children[len(result)] = child
            result.append(value)
        return result

    def key(self, event: yaml.Event, place: Place) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.stop(UNSUPPORTED_YAML, event, "a key is a plain word here", "write a name as the key")
        if event.anchor is not None:
            self.stop(UNSUPPORTED_YAML, event, "a key carries an anchor", "put anchors on values only")
        if event.value == "<<" and not event.style:
            self.stop(UNSUPPORTED_YAML, event, "merge keys (`<<`) are not read", "use `defaults:` instead")
        self.refuse_tag(event)
        self.refuse_control(event.value, place)
        return str(event.value)

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> Data:
        text: str = event.value
        if event.tag is not None:
            self.refuse_tag(event)
        if event.style:
            self.refuse_control(text, place)
            return text
        if text[:1] in _NUMBER_START and text:
            return self.number_or_text(text, place)
        if text in _NULLS:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        self.refuse_control(text, place)
        return text

    def number_or_text(self, text: str, place: Place) -> Data:
        if _INTEGER.fullmatch(text):
            if len(text) <= LONGEST_INTEGER_DIGITS:
                return int(text)
            message = f"an integer of {len(text)} digits"
            self.findings.append(AMBIGUOUS_SCALAR.at((), message, place=place, help="quote it"))
        elif _FLOAT.fullmatch(text):
            number = float(text)
            if number not in {float("inf"), float("-inf")}:
                return number
            self.findings.append(AMBIGUOUS_SCALAR.at((), f"`{text}` is not a finite number", place=place))
        elif _NOT_FINITE.fullmatch(text):
            self.findings.append(AMBIGUOUS_SCALAR.at((), f"`{text}` is not a finite number", place=place))
        elif _AMBIGUOUS.fullmatch(text):
            message = f"YAML readers disagree about what `{text}` is"
            help_text = "quote it if it is text; write a plain decimal number otherwise"
            self.findings.append(AMBIGUOUS_SCALAR.at((), message, place=place, help=help_text))
        self.refuse_control(text, place)
        return text

    def alias(self, event: yaml.AliasEvent, place: Place, key_place: Place) -> tuple[Data, Mark]:
        if event.anchor in self.open_anchors:
            message = f"`*{event.anchor}` stands inside what it refers to"
            self.stop(UNSUPPORTED_YAML, event, message, "a workload has no cycles")
        if event.anchor not in self.anchors:
            self.stop(INVALID_YAML, event, f"`*{event.anchor}` refers to no anchor above it")
        value, mark, size = self.anchors[event.anchor]
        self.values += size
        self.aliased_values += size
        if self.aliased_values > MOST_ALIASED_VALUES:
            message = f"aliases repeat more than {MOST_ALIASED_VALUES} values"
            self.stop(TOO_LARGE, event, message, "use `defaults:` instead")
        return value, Mark(place, key_place, mark.children)

    def open_anchor(self, event: yaml.Event) -> str | None:
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is None:
            return None
        if len(self.anchors) >= MOST_ANCHORS:
            self.stop(TOO_LARGE, event, f"more than {MOST_ANCHORS} anchors", "use `defaults:` instead")
        self.anchors.pop(anchor, None)
        self.open_anchors.add(anchor)
        return anchor

    def refuse_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.stop(UNSUPPORTED_YAML, event, f"tags are not read; found `{tag}`", "remove the tag")

    def refuse_control(self, text: str, place: Place) -> None:
        if text.isprintable():
            return
        found = _CONTROL.search(text)
        if found:
            message = f"a text holds the character U+{ord(found[0]):04X}"
            self.findings.append(CONTROL_CHARACTER.at((), message, place=place, help="remove it"))

    def stop(self, finding: Finding, event: yaml.Event, message: str, help_text: str = "") -> NoReturn:
        start = event.start_mark
        place = Place(self.name, start.line + 1, start.column + 1)
        raise _Stop(finding.at((), message, place=place, help=help_text))


def _with_environment(
    parsed: list[tuple[_Mapping, Mark]], environment: str, findings: list[Diagnostic]
) -> list[tuple[_Mapping, Mark]]:
    """Apply `environments.NAME` of each file as a JSON merge patch (RFC 7386) to that file."""
    names: set[str] = set()
    patched = []
    for data, mark in parsed:
        patches = data.get("environments")
        names.update(patches if isinstance(patches, dict) else ())
        patch = patches.get(environment) if isinstance(patches, dict) else None
        if isinstance(patch, dict):
            patch_mark = mark.children["environments"].children[environment]
            patched.append(_merge_patch(data, mark, patch, patch_mark))
        else:
            patched.append((data, mark))
    if environment not in names:
        known = ", ".join(sorted(names)) or "none"
        message = f"no file has an environment `{environment}`; there are: {known}"
        place = parsed[0][1].place if parsed else Place("", 1, 1)
        findings.append(UNKNOWN_ENVIRONMENT.at(("environments",), message, place=place))
    return patched


def _merge_patch(
    target: Data, target_mark: Mark | None, patch: _Mapping, patch_mark: Mark
) -> tuple[_Mapping, Mark]:
    data = dict(target) if isinstance(target, dict) else {}
    old = target_mark.children if target_mark and isinstance(target, dict) else {}
    marks: dict[str | int, Mark] = dict(old)
    for key, value in patch.items():
        if value is None:
            data.pop(key, None)
            marks.pop(key, None)
        elif isinstance(value, dict):
            merged = _merge_patch(data.get(key), marks.get(key), value, patch_mark.children[key])
            data[key], marks[key] = merged
        else:
            data[key], marks[key] = value, patch_mark.children[key]
    base = target_mark if target_mark and isinstance(target, dict) else patch_mark
    return data, Mark(base.place, base.key_place, marks)


def _merged(
    parsed: list[tuple[_Mapping, Mark]], findings: list[Diagnostic]
) -> tuple[_Mapping, Mark]:
    place = parsed[0][1].place if parsed else Place("", 1, 1)
    data: _Mapping = {}
    marks = Mark(place, place, {})
    for one, mark in parsed:
        _apply_per_file(one, mark, findings)
        for key, value in one.items():
            if key in _PER_FILE and key != "version":
                # Kept so that the model checks their form too; the last file's stand for all.
                data[key], marks.children[key] = value, mark.children[key]
            else:
                _merge_value(data, marks, key, value, mark.children[key], findings, depth=0)
    return data, marks


def _apply_per_file(data: _Mapping, mark: Mark, findings: list[Diagnostic]) -> None:
    """Give the file's `defaults` and `owner` to its own tasks and schedules."""
    defaults = data.get("defaults")
    tasks = data.get("tasks")
    if isinstance(defaults, dict) and defaults:
        if not isinstance(tasks, dict) or not tasks:
            message = "this file declares no task for its defaults"
            findings.append(UNUSED_DEFAULTS.at((), message, place=mark.children["defaults"].key_place))
        else:
            _fill(tasks, mark.children["tasks"], defaults, mark.children["defaults"].children)
    owner = data.get("owner")
    if isinstance(owner, str):
        owner_mark = {"owner": mark.children["owner"]}
        for section in ("tasks", "schedules"):
            entries = data.get(section)
            if isinstance(entries, dict):
                _fill(entries, mark.children[section], {"owner": owner}, owner_mark)


def _fill(
    entries: _Mapping, marks: Mark, fields: _Mapping, field_marks: Mapping[str | int, Mark]
) -> None:
    for name, entry in list(entries.items()):
        old = marks.children[name]
        if entry is None:
            entry = entries[name] = {}
        if isinstance(entry, dict):
            missing = {key: value for key, value in fields.items() if key not in entry}
            # New containers: an alias may share the entry with another one.
            entries[name] = {**entry, **missing}
            children = {**old.children, **{key: field_marks[key] for key in missing}}
            marks.children[name] = Mark(old.place, old.key_place, children)


def _merge_value(
    data: _Mapping,
    marks: Mark,
    key: str,
    value: Data,
    mark: Mark,
    findings: list[Diagnostic],
    *,
    depth: int,
    named: bool = False,
) -> None:
    if key not in data:
        data[key], marks.children[key] = value, mark
        return
    old, old_mark = data[key], marks.children[key]
    if isinstance(old, dict) and isinstance(value, dict) and not named:
        # A merge must not write into a file's own containers.
        data[key] = merged = dict(old)
        merged_mark = Mark(old_mark.place, old_mark.key_place, dict(old_mark.children))
        marks.children[key] = merged_mark
        entries_are_named = depth == 0 and key in _NAMED_SECTIONS
        for inner, inner_value in value.items():
            child = mark.children[inner]
            _merge_value(
                merged,
                merged_mark,
                inner,
                inner_value,
                child,
                findings,
                depth=depth + 1,
                named=entries_are_named,
            )
    elif isinstance(old, list) and isinstance(value, list) and depth == 0:
        children = {**old_mark.children}
        children.update({len(old) + index: mark.children[index] for index in range(len(value))})
        data[key] = old + value
        marks.children[key] = Mark(old_mark.place, old_mark.key_place, children)
    elif named or old != value:
        what = "is declared twice" if named else "has two different values"
        related = (Related((), "first given here", old_mark.key_place),)
        place = mark.key_place if named else mark.place
        findings.append(
            DECLARED_TWICE.at((), f"`{key}` {what}", place=place, related=related, help="keep one of them")
        )
