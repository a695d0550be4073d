r"""One text to plain data and marks.

Values are built directly from libyaml's events: this is several times faster than PyYAML's own load, and an
alias keeps its own place.

Because:
    One YAML text can have several meanings. If a key occurs twice, most readers silently keep the last value,
    against the specification (https://yaml.org/spec/1.2.2/#3213-node-comparison). Readers of YAML 1.1 and 1.2
    read `010`, `1_000` and `12:30` as different numbers, or as text (https://yaml.org/spec/1.2.2/ext/changes/).
    Tags and merge keys add values that the text does not show. So only text with one meaning for every reader
    and reviewer is accepted.

Refuses:
    PC002 invalid-yaml: correct the brackets, the quotes or the indentation.
        fires: tasks: {shop.a: {idempotent: true}
        silent: tasks: {shop.a: {idempotent: true}}
    PC003 duplicate-key: keep one of the keys.
        fires: tasks: {shop.a: {latency: batch, latency: standard}}
        silent: tasks: {shop.a: {latency: batch}}
    PC004 unsupported-yaml: write the values out, without tags, merge keys, directives or a second document.
        fires:
            tasks:
              shop.a: &quick {latency: interactive}
              shop.b: {<<: *quick, idempotent: true}
        silent:
            defaults: {latency: interactive}
            tasks:
              shop.a: {}
              shop.b: {idempotent: true}
    PC005 ambiguous-scalar: quote text; write a number as a plain decimal.
        fires: tasks: {shop.a: {options: {expires: 1_000}}}
        silent: tasks: {shop.a: {options: {expires: 1000}}}
    PC007 control-character: remove the character.
        fires: owner: "store\x07front"
        silent: owner: "storefront"
    PC008 not-a-mapping: start with `version: 1` and `service: NAME`.
        fires: - shop.a
        silent: tasks: {shop.a: {}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import NoReturn, Protocol, cast

import yaml
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from policycompiler.diagnostics import Diagnostic, Finding, Related, fatal
from policycompiler.load.files import TOO_LARGE
from policycompiler.load.marks import Data, Mapped, Mark, Source
from policycompiler.load.scalars import AmbiguousScalarError, Plain, plain_value

DEEPEST_LEVEL = 32
MOST_VALUES = 1_000_000
MOST_ANCHORS = 100
MOST_ALIASED_VALUES = 10_000
MOST_FINDINGS = 1000
"""In one file; after these the rest of the file is not read."""

INVALID_YAML = fatal("PC002", "invalid-yaml")
DUPLICATE_KEY = fatal("PC003", "duplicate-key")
UNSUPPORTED_YAML = fatal("PC004", "unsupported-yaml")
AMBIGUOUS_SCALAR = fatal("PC005", "ambiguous-scalar")
CONTROL_CHARACTER = fatal("PC007", "control-character")
NOT_A_MAPPING = fatal("PC008", "not-a-mapping")

# Control characters, lone surrogates, line breaks that editors do not show, byte order marks.
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff\ufffe\uffff"
_CONTROL_IN_FILE = re.compile(f"[{_CONTROL}]")
_CONTROL_IN_VALUE = re.compile(f"[\r{_CONTROL}]")


def is_readable(text: str) -> bool:
    """Whether a value may have this text: it has no control character."""
    return text.isprintable() or _CONTROL_IN_VALUE.search(text) is None


_DIRECTIVE = re.compile(r"%(?<![^\r\n]%)")

_NO_CHILDREN: Mapping[str | int, Mark] = MappingProxyType({})
# The same as Mark(…), in half the time.
_mark = cast(
    "Callable[[tuple[Source, int, int, Mapping[str | int, Mark]]], Mark]", partial(tuple.__new__, Mark)
)


class _Position(Protocol):
    index: int


class _Event(Protocol):
    """The attributes of PyYAML's events that are read, where the kind of event has them."""

    start_mark: _Position
    anchor: str | None
    tag: str | None
    value: str
    style: str | None


class _StopError(Exception):
    """The rest of the text cannot be read; the finding is already recorded."""


def parse(text: str, name: str, findings: list[Diagnostic]) -> tuple[Mapped, Mark]:
    """One file's text as data and marks, usable only when it adds no error to `findings`.

    After a minor error the rest of the data is there; otherwise the data is empty.
    """
    source = Source(name, text)
    builder = _Builder(source, findings)
    try:
        return builder.document()
    except _StopError:
        pass
    except yaml.MarkedYAMLError as problem:
        findings[:] = _too_large(source, problem) or [*findings, _invalid(source, problem)]
    return {}, Mark(source, 0, 0, _NO_CHILDREN)


def _too_large(source: Source, problem: yaml.MarkedYAMLError) -> list[Diagnostic]:
    """The finding if the text exceeds one of our limits before the place that libyaml refuses.

    libyaml scans ahead of its events, and since 0.2.6 it limits nesting too. Our limit comes first, so every
    libyaml version gets the same finding at the same place.
    """
    if problem.problem_mark is None:
        return []
    findings: list[Diagnostic] = []
    before = Source(source.name, source.text[: problem.problem_mark.index])
    with suppress(_StopError, yaml.MarkedYAMLError):
        _Builder(before, findings).document()
    return findings if findings and findings[-1].finding is TOO_LARGE else []


def _invalid(source: Source, problem: yaml.MarkedYAMLError) -> Diagnostic:
    mark = problem.problem_mark or problem.context_mark
    place = source.place(mark.index if mark else 0)
    related: tuple[Related, ...] = ()
    if problem.context and problem.context_mark:
        related = (Related((), problem.context, source.place(problem.context_mark.index)),)
    return INVALID_YAML.at((), problem.problem or "the text is not YAML", place=place, related=related)


class _Builder:
    """Builds one document."""

    def __init__(self, source: Source, findings: list[Diagnostic]) -> None:
        self.source = source
        self.findings = findings
        self.reported = 0
        self.values = 0
        self.aliased_values = 0
        # None while the anchored value is being built.
        self.anchors: dict[str, tuple[Data, Mark, int] | None] = {}
        # Equal texts share one value: a workload repeats many texts.
        self.keys: dict[str, str] = {}
        self.plain_values: dict[str, Plain] = {}

    def document(self) -> tuple[Mapped, Mark]:
        self.refuse_unsafe_text()
        # Like yaml.parse, without its generator around each event.
        loader = yaml.CSafeLoader(self.source.text)
        self.next_event = cast("Callable[[], _Event]", loader.get_event)
        self.next_event()
        event = self.next_event()
        if isinstance(event, yaml.StreamEndEvent):
            self.not_a_mapping(0, None)
        event = self.next_event()
        value, mark = self.value(event, event.start_mark.index, 0)
        self.next_event()
        event = self.next_event()
        if not isinstance(event, yaml.StreamEndEvent):
            message = "a second document starts here"
            self.stop(
                UNSUPPORTED_YAML, event.start_mark.index, message, "write each document in a file of its own"
            )
        if not isinstance(value, dict):
            self.not_a_mapping(mark.start, value)
        return value, mark

    def refuse_unsafe_text(self) -> None:
        """Refuse text that libyaml should not read: its time grows with the square of directives."""
        found = _CONTROL_IN_FILE.search(self.source.text)
        if found:
            message = f"a workload must not contain the character U+{ord(found[0]):04X}"
            self.stop(CONTROL_CHARACTER, found.start(), message, "remove the character")
        found = _DIRECTIVE.search(self.source.text)
        if found:
            self.stop(
                UNSUPPORTED_YAML,
                found.start(),
                "directives (`%` on a new line) are not supported",
                "remove it",
            )

    def not_a_mapping(self, offset: int, value: Data) -> NoReturn:
        found = "nothing" if value is None else "a list" if isinstance(value, list) else "a single value"
        message = f"the file must contain a mapping; found {found}"
        self.stop(NOT_A_MAPPING, offset, message, "start with `version: 1` and `service: NAME`")

    def value(self, event: _Event, key_start: int, depth: int) -> tuple[Data, Mark]:
        start = event.start_mark.index
        self.values += 1
        if self.values > MOST_VALUES:
            self.stop(
                TOO_LARGE, start, f"more than {MOST_VALUES} values", "split the file into several files"
            )
        if isinstance(event, ScalarEvent) and event.anchor is None:
            return self.scalar(event, start), _mark((self.source, start, key_start, _NO_CHILDREN))
        if isinstance(event, AliasEvent):
            return self.alias(str(event.anchor), start, key_start)
        if depth > DEEPEST_LEVEL:
            self.stop(TOO_LARGE, start, f"more than {DEEPEST_LEVEL} levels deep", "use fewer levels")
        if event.anchor is not None:
            return self.anchored(event, event.anchor, start, key_start, depth)
        return self.container(event, start, key_start, depth)

    def container(self, event: _Event, start: int, key_start: int, depth: int) -> tuple[Data, Mark]:
        if event.tag is not None:
            self.refuse_tag(start)
        children: dict[str | int, Mark] = {}
        mark = _mark((self.source, start, key_start, children))
        if isinstance(event, MappingStartEvent):
            return self.mapping(children, depth + 1), mark
        return self.sequence(children, depth + 1), mark

    def mapping(self, children: dict[str | int, Mark], depth: int) -> Mapped:
        result: Mapped = {}
        while not isinstance(event := self.next_event(), MappingEndEvent):
            key_start = event.start_mark.index
            key = self.key(event, key_start)
            value, mark = self.value(self.next_event(), key_start, depth)
            if key not in result:
                result[key] = value
                children[key] = mark
                continue
            first = Related((), "first occurrence", children[key].key_place)
            self.report(DUPLICATE_KEY, key_start, f"`{key}` occurs twice", related=(first,))
        return result

    def sequence(self, children: dict[str | int, Mark], depth: int) -> list[Data]:
        result: list[Data] = []
        while not isinstance(event := self.next_event(), SequenceEndEvent):
            value, mark = self.value(event, event.start_mark.index, depth)
            children[len(result)] = mark
            result.append(value)
        return result

    def key(self, event: _Event, start: int) -> str:
        """A key is always text: `1` and `yes` are names here."""
        if not isinstance(event, ScalarEvent):
            self.stop(UNSUPPORTED_YAML, start, "a key must be a plain word", "write a name as the key")
        if event.anchor is not None:
            self.stop(UNSUPPORTED_YAML, start, "a key has an anchor", "put anchors on values only")
        if event.tag is not None:
            self.refuse_tag(start)
        text = event.value
        if event.style:
            self.refuse_control(text, start)
        elif text == "<<":
            self.stop(
                UNSUPPORTED_YAML, start, "merge keys (`<<`) are not supported", "use `defaults:` instead"
            )
        return self.keys.setdefault(text, text)

    def scalar(self, event: _Event, start: int) -> Data:
        if event.tag is not None:
            self.refuse_tag(start)
        text = event.value
        if event.style:
            self.refuse_control(text, start)
            return text
        try:
            return self.plain_values[text]
        except KeyError:
            return self.new_plain_value(text, start)

    def new_plain_value(self, text: str, start: int) -> Data:
        try:
            value = plain_value(text)
        except AmbiguousScalarError as problem:
            help_text = "quote text, or write a number as a plain decimal"
            self.report(AMBIGUOUS_SCALAR, start, str(problem), help_text)
            return text
        self.plain_values[text] = value
        return value

    def anchored(
        self, event: _Event, anchor: str, start: int, key_start: int, depth: int
    ) -> tuple[Data, Mark]:
        if anchor in self.anchors:
            self.stop(UNSUPPORTED_YAML, start, "the anchor occurs twice", "give each anchor its own name")
        if len(self.anchors) >= MOST_ANCHORS:
            self.stop(TOO_LARGE, start, f"more than {MOST_ANCHORS} anchors", "use `defaults:` instead")
        self.anchors[anchor] = None
        values_before = self.values
        if isinstance(event, ScalarEvent):
            value: Data = self.scalar(event, start)
            mark = _mark((self.source, start, key_start, _NO_CHILDREN))
        else:
            value, mark = self.container(event, start, key_start, depth)
        self.anchors[anchor] = (value, mark, self.values - values_before + 1)
        return value, mark

    def alias(self, anchor: str, start: int, key_start: int) -> tuple[Data, Mark]:
        # The message does not repeat the name: a password that starts with `*` looks like an alias.
        if anchor not in self.anchors:
            help_text = "quote the value if it is text"
            self.stop(INVALID_YAML, start, "no anchor above has the name of this alias", help_text)
        anchored = self.anchors[anchor]
        if anchored is None:
            self.stop(UNSUPPORTED_YAML, start, "the alias is inside its own anchor", "write the value out")
        value, mark, size = anchored
        self.values += size
        self.aliased_values += size
        if self.aliased_values > MOST_ALIASED_VALUES:
            message = f"aliases repeat more than {MOST_ALIASED_VALUES} values"
            self.stop(TOO_LARGE, start, message, "use `defaults:` instead")
        return value, _mark((self.source, start, key_start, mark.children))

    def refuse_tag(self, start: int) -> NoReturn:
        # The message does not repeat the tag: a password that starts with `!` looks like a tag.
        help_text = "remove the tag, or quote the text if it starts with `!`"
        self.stop(UNSUPPORTED_YAML, start, "tags are not supported", help_text)

    def refuse_control(self, text: str, start: int) -> None:
        if found := None if is_readable(text) else _CONTROL_IN_VALUE.search(text):
            self.report(
                CONTROL_CHARACTER,
                start,
                f"the text contains the character U+{ord(found[0]):04X}",
                "remove it",
            )

    def report(
        self,
        finding: Finding,
        offset: int,
        message: str,
        help_text: str = "",
        related: tuple[Related, ...] = (),
    ) -> None:
        """Record a finding and continue."""
        place = self.source.place(offset)
        self.findings.append(finding.at((), message, place=place, help=help_text, related=related))
        self.reported += 1
        if self.reported >= MOST_FINDINGS:
            raise _StopError

    def stop(self, finding: Finding, offset: int, message: str, help_text: str) -> NoReturn:
        self.report(finding, offset, message, help_text)
        raise _StopError
