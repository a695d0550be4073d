r"""One text to plain data and marks.

Values are built straight from libyaml's events: a few times cheaper than PyYAML's own load, and an
alias still knows where it stands.

Because:
    YAML gives one text several meanings. Of a key that is given twice most readers keep the last one in
    silence, against the specification (https://yaml.org/spec/1.2.2/#3213-node-comparison); `010`, `1_000`
    and `12:30` are different numbers, or text, to readers of YAML 1.1 and 1.2
    (https://yaml.org/spec/1.2.2/ext/changes/); tags and merge keys build what the text does not show.
    Only what every reader and every reviewer takes for the same is read.

Refuses:
    PC002 invalid-yaml: correct the text; most often a bracket, a quote or the indentation is at fault.
        fires: tasks: {shop.a: {idempotent: true}
        silent: tasks: {shop.a: {idempotent: true}}
    PC003 duplicate-key: keep one of them.
        fires: tasks: {shop.a: {latency: batch, latency: standard}}
        silent: tasks: {shop.a: {latency: batch}}
    PC004 unsupported-yaml: write it out: without tags, merge keys, directives, and a second document.
        fires:
            tasks:
              shop.a: &quick {latency: interactive}
              shop.b: {<<: *quick, idempotent: true}
        silent:
            defaults: {latency: interactive}
            tasks:
              shop.a: {}
              shop.b: {idempotent: true}
    PC005 ambiguous-scalar: quote it if it is text; write a plain decimal number otherwise.
        fires: tasks: {shop.a: {options: {expires: 1_000}}}
        silent: tasks: {shop.a: {options: {expires: 1000}}}
    PC007 control-character: remove it.
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
"""Of one file; after these the rest of it is not read."""

INVALID_YAML = fatal("PC002", "invalid-yaml")
DUPLICATE_KEY = fatal("PC003", "duplicate-key")
UNSUPPORTED_YAML = fatal("PC004", "unsupported-yaml")
AMBIGUOUS_SCALAR = fatal("PC005", "ambiguous-scalar")
CONTROL_CHARACTER = fatal("PC007", "control-character")
NOT_A_MAPPING = fatal("PC008", "not-a-mapping")

# Besides control characters: half a character, line breaks that editors do not show, byte order marks.
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff\ufffe\uffff"
_CONTROL_IN_FILE = re.compile(f"[{_CONTROL}]")
_CONTROL_IN_VALUE = re.compile(f"[\r{_CONTROL}]")

_DIRECTIVE = re.compile(r"%(?<![^\r\n]%)")

_NO_CHILDREN: Mapping[str | int, Mark] = MappingProxyType({})
# What Mark(…) does, in half the time.
_mark = cast(
    "Callable[[tuple[Source, int, int, Mapping[str | int, Mark]]], Mark]", partial(tuple.__new__, Mark)
)


class _Position(Protocol):
    index: int


class _Event(Protocol):
    """What is read of PyYAML's events, each where its kind of event has it."""

    start_mark: _Position
    anchor: str | None
    tag: str | None
    value: str
    style: str | None


class _StopError(Exception):
    """The rest of the text cannot be read; the finding has been written down."""


def parse(text: str, name: str, findings: list[Diagnostic]) -> tuple[Mapped, Mark]:
    """One file's text as data and marks, usable only when it adds no error to `findings`.

    What can be stepped over leaves the rest of the data in place; otherwise the data is empty.
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
    """What to report when one of our own bounds is passed before the place that libyaml refuses.

    libyaml scans ahead of its events, and since 0.2.6 it has a bound on nesting of its own. Ours comes first,
    so that every libyaml reports the same finding at the same place.
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
    return INVALID_YAML.at((), problem.problem or "this is not YAML", place=place, related=related)


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
        # Equal texts share one value: a workload repeats itself.
        self.keys: dict[str, str] = {}
        self.plain_values: dict[str, Plain] = {}

    def document(self) -> tuple[Mapped, Mark]:
        self.refuse_unsafe_text()
        # As yaml.parse, without its generator around each event.
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
            message = "a second document begins here"
            self.stop(UNSUPPORTED_YAML, event.start_mark.index, message, "one file, one document")
        if not isinstance(value, dict):
            self.not_a_mapping(mark.start, value)
        return value, mark

    def refuse_unsafe_text(self) -> None:
        """Refuse what libyaml should not see: its time grows with the square of the number of directives."""
        found = _CONTROL_IN_FILE.search(self.source.text)
        if found:
            message = f"the character U+{ord(found[0]):04X} may not stand in a workload"
            self.stop(CONTROL_CHARACTER, found.start(), message, "remove it")
        found = _DIRECTIVE.search(self.source.text)
        if found:
            self.stop(
                UNSUPPORTED_YAML, found.start(), "directives (`%` on a new line) are not read", "remove it"
            )

    def not_a_mapping(self, offset: int, value: Data) -> NoReturn:
        found = "nothing" if value is None else "a list" if isinstance(value, list) else "a single value"
        message = f"the file holds a mapping; found {found}"
        self.stop(NOT_A_MAPPING, offset, message, "start with `version: 1` and `service: NAME`")

    def value(self, event: _Event, key_start: int, depth: int) -> tuple[Data, Mark]:
        start = event.start_mark.index
        self.values += 1
        if self.values > MOST_VALUES:
            self.stop(TOO_LARGE, start, f"more than {MOST_VALUES} values", "split it into several files")
        if isinstance(event, ScalarEvent) and event.anchor is None:
            return self.scalar(event, start), _mark((self.source, start, key_start, _NO_CHILDREN))
        if isinstance(event, AliasEvent):
            return self.alias(str(event.anchor), start, key_start)
        if depth > DEEPEST_LEVEL:
            self.stop(TOO_LARGE, start, f"more than {DEEPEST_LEVEL} levels deep", "flatten it")
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
            first = Related((), "first given here", children[key].key_place)
            self.report(DUPLICATE_KEY, key_start, f"`{key}` is given twice", related=(first,))
        return result

    def sequence(self, children: dict[str | int, Mark], depth: int) -> list[Data]:
        result: list[Data] = []
        while not isinstance(event := self.next_event(), SequenceEndEvent):
            value, mark = self.value(event, event.start_mark.index, depth)
            children[len(result)] = mark
            result.append(value)
        return result

    def key(self, event: _Event, start: int) -> str:
        """A key is text as it is written: `1` and `yes` are names here."""
        if not isinstance(event, ScalarEvent):
            self.stop(UNSUPPORTED_YAML, start, "a key is a plain word here", "write a name as the key")
        if event.anchor is not None:
            self.stop(UNSUPPORTED_YAML, start, "a key carries an anchor", "put anchors on values only")
        if event.tag is not None:
            self.refuse_tag(start)
        text = event.value
        if event.style:
            self.refuse_control(text, start)
        elif text == "<<":
            self.stop(UNSUPPORTED_YAML, start, "merge keys (`<<`) are not read", "use `defaults:` instead")
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
            help_text = "quote it if it is text; write a plain decimal number otherwise"
            self.report(AMBIGUOUS_SCALAR, start, str(problem), help_text)
            return text
        self.plain_values[text] = value
        return value

    def anchored(
        self, event: _Event, anchor: str, start: int, key_start: int, depth: int
    ) -> tuple[Data, Mark]:
        if anchor in self.anchors:
            self.stop(UNSUPPORTED_YAML, start, "this anchor is given twice", "give each anchor its own name")
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
        # The name is not repeated: a password that begins with `*` looks like this.
        if anchor not in self.anchors:
            help_text = "quote it if it is text"
            self.stop(INVALID_YAML, start, "this alias refers to no anchor above it", help_text)
        anchored = self.anchors[anchor]
        if anchored is None:
            self.stop(UNSUPPORTED_YAML, start, "this alias stands inside what it refers to", "write it out")
        value, mark, size = anchored
        self.values += size
        self.aliased_values += size
        if self.aliased_values > MOST_ALIASED_VALUES:
            message = f"aliases repeat more than {MOST_ALIASED_VALUES} values"
            self.stop(TOO_LARGE, start, message, "use `defaults:` instead")
        return value, _mark((self.source, start, key_start, mark.children))

    def refuse_tag(self, start: int) -> NoReturn:
        # The tag is not repeated: a password that begins with `!` looks like this.
        help_text = "remove the tag, or quote the text if it begins with `!`"
        self.stop(UNSUPPORTED_YAML, start, "tags are not read", help_text)

    def refuse_control(self, text: str, start: int) -> None:
        found = None if text.isprintable() else _CONTROL_IN_VALUE.search(text)
        if found:
            self.report(
                CONTROL_CHARACTER, start, f"a text holds the character U+{ord(found[0]):04X}", "remove it"
            )

    def report(
        self,
        finding: Finding,
        offset: int,
        message: str,
        help_text: str = "",
        related: tuple[Related, ...] = (),
    ) -> None:
        """Write a finding down and go on."""
        place = self.source.place(offset)
        self.findings.append(finding.at((), message, place=place, help=help_text, related=related))
        self.reported += 1
        if self.reported >= MOST_FINDINGS:
            raise _StopError

    def stop(self, finding: Finding, offset: int, message: str, help_text: str) -> NoReturn:
        self.report(finding, offset, message, help_text)
        raise _StopError
