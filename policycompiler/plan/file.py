"""A plan as a file: canonical JSON without repetition, written and read one scope at a time.

A setting is one line: its value, and the name of its reason. Each reason is written once, with policy,
sentence and origins. Origins in the same scope, or in the workload entry of the scope, are relative. So
similar tasks share their reasons. The name of a reason depends only on the reason, so a change of one reason
does not change others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from math import isfinite
from sys import intern
from typing import Any, NamedTuple, TypeAlias

from policycompiler.diagnostics import SpecPath
from policycompiler.plan import (
    Constant,
    Default,
    Derived,
    Observed,
    Origin,
    Parameter,
    Plan,
    Scope,
    Setting,
    Value,
    Written,
    scope_from_text,
)
from policycompiler.plan.earlier import in_words_of_today

FORMAT = 2
READ = (1, FORMAT)
"""The formats that this version reads: all so far."""

_SECTIONS = {
    "task": "tasks",
    "queue": "queues",
    "worker": "workers",
    "schedule": "schedules",
    "disabled_schedule": "schedules",
    "host": "hosts",
}
"""The section of the workload with the entries of each kind of scope."""

_NAME_DIGITS = 8
_COMMA = ",\n"


class _Own(NamedTuple):
    """An origin that is a setting of the same scope."""

    key: str


class _Field(NamedTuple):
    """An origin in the workload entry of the scope: the path below that entry."""

    path: SpecPath


_Said: TypeAlias = "Origin | _Own | _Field"


class _Reason(NamedTuple):
    """The part that settings share: policy, reason and origins."""

    policy: str
    because: str
    said: tuple[_Said, ...]


def to_json(plan: Plan) -> str:
    """The canonical text: sorted, no clock, no host, no absolute path, no line numbers."""
    return "".join(lines(plan))


def lines(plan: Plan) -> Iterator[str]:
    """The canonical text in parts: the reasons, then each scope."""
    reasons = _Reasons()
    # One name for each setting, in the order of the plan.
    names = iter([reasons.name(setting) for _, settings in plan.by_scope() for setting in settings])
    yield f'{{"format": {FORMAT},\n"reasons": {{\n'
    yield _COMMA.join([f"{name}: {text}" for name, text in sorted(reasons.texts.items())])
    yield '\n},\n"settings": {\n'
    between = ""
    for scope, settings in plan.by_scope():
        texts = [
            f'{_json(setting.key)}: {{"value": {_json(setting.value)}, "why": {next(names)}}}'
            for setting in settings
        ]
        yield f"{between}{_json(str(scope))}: {{\n{_COMMA.join(texts)}\n}}"
        between = _COMMA
    yield "\n}}\n"


class _Reasons:
    """The reasons of a plan by name; names and texts are JSON."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._names: dict[object, str] = {}

    def name(self, setting: Setting) -> str:
        """The name of the reason of a setting."""
        key = _likeness(setting)
        try:
            found = self._names.get(key)
        except TypeError:  # a constant that is a list or a mapping
            return self._named(setting)
        if found is None:
            found = self._names[key] = self._named(setting)
        return found

    def _named(self, setting: Setting) -> str:
        origins = ", ".join([_origin_to_json(_said(each, setting.scope)) for each in setting.origins])
        policy, because = _json(setting.policy), _json(setting.because)
        text = f'{{"policy": {policy}, "because": {because}, "origins": [{origins}]}}'
        digest = sha256(text.encode()).hexdigest()
        digits = _NAME_DIGITS
        # The order of settings also decides which of two equal prefixes gets the longer name.
        while self.texts.get(name := _json(f"{setting.policy} {digest[:digits]}"), text) != text:
            digits += 1
        self.texts[name] = text
        return name


def _likeness(setting: Setting) -> tuple[object, ...]:
    """A key that is equal only for settings that share a reason; a plan needs a million lookups."""
    scope, _, _, because, origins, policy = setting
    kind, name = scope
    found: list[object] = [policy, because]
    for origin in origins:
        if isinstance(origin, Derived):
            found.append(origin.key if origin.scope == scope else origin)
        elif isinstance(origin, Written):
            path = origin.path
            own = path[1:2] == (name,) and path[0] == _SECTIONS.get(kind)
            found += (path[2:],) if own else (Written, path)
        elif isinstance(origin, Observed | Default):
            found += (type(origin), origin)
        else:
            # Numbers of different types may be equal in Python, but not in JSON.
            found += (type(origin), origin, type(origin.value))
    return tuple(found)


def _said(origin: Origin, scope: Scope) -> _Said:
    """An origin relative to a scope."""
    if isinstance(origin, Derived):
        return _Own(origin.key) if origin.scope == scope else origin
    if isinstance(origin, Written) and origin.path[:2] == (_SECTIONS.get(scope.kind), scope.name):
        return _Field(origin.path[2:])
    return origin


def _meant(said: _Said, scope: Scope) -> Origin:
    """The origin of a setting of a scope."""
    if isinstance(said, _Own):
        return Derived(scope, said.key)
    if isinstance(said, _Field):
        return Written((_SECTIONS[scope.kind], scope.name, *said.path))
    return said


_encode = json.JSONEncoder(sort_keys=True).encode


def _json(value: Value) -> str:
    """The same text as from the encoder, but faster: a plan has a million values."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join([_json(each) for each in value])}]"
    return _encode(value)


def _origin_to_json(origin: _Said) -> str:
    members: tuple[tuple[str, Any], ...]
    match origin:
        case _Own(key):
            members = (("own", key),)
        case _Field(path):
            members = (("field", [*path]),)
        case Written(path):
            members = (("spec", [*path]),)
        case Derived(scope, key):
            members = (("setting", f"{scope}/{key}"),)
        case Parameter(path, value):
            members = (("parameter", [*path]), ("value", value))
        case Constant(name, value):
            members = (("constant", name), ("value", value))
        case Observed(look, place):
            members = (("observed", look), ("place", place))
        case Default(name, version):
            members = (("default", name), ("celery", version))
    return f"{{{', '.join([f'{_json(name)}: {_json(value)}' for name, value in members])}}}"


def from_json(text: str) -> Plan:
    """The plan of a text of any known format. Raises `ValueError` for another format.

    A text that is not a plan raises `ValueError`, a `LookupError`, a `TypeError`, an `AttributeError` or an
    `AssertionError`.
    """
    document: dict[str, Any] = {}
    settings: dict[Scope, dict[str, Setting]] | None = None
    cursor = _Cursor(text)
    for key in cursor.members():
        # A large plan is read one scope at a time; with an unusual order of members, all at once.
        if key == "settings" and ("reasons" in document or document.get("format") == 1):
            settings = _settings(cursor.entries(), document)
        else:
            document[key] = cursor.value()
    cursor.end()
    if document.get("format") not in READ:
        message = f"the plan has format {document.get('format')!r}; this version reads formats 1 and 2"
        raise ValueError(message)
    if settings is None:
        settings = _settings(document["settings"].items(), document)
    return Plan(in_words_of_today(settings) if document["format"] == 1 else settings)


def _settings(
    scopes: Iterable[tuple[str, Mapping[str, Any]]], document: Mapping[str, Any]
) -> dict[Scope, dict[str, Setting]]:
    reasons = {name: _reason(data) for name, data in document.get("reasons", {}).items()}
    settings = {}
    for scope_text, entries in scopes:
        scope = scope_from_text(scope_text)
        # The decoder creates new key strings for each scope.
        keys = {intern(key): entry for key, entry in entries.items()}
        settings[scope] = {key: _setting(scope, key, entry, reasons) for key, entry in keys.items()}
    return settings


def _setting(scope: Scope, key: str, entry: Mapping[str, Any], reasons: Mapping[str, _Reason]) -> Setting:
    # Format 1 has the reason in each setting.
    policy, because, said = reasons[entry["why"]] if "why" in entry else _reason(entry)
    value = entry["value"]
    value = intern(value) if isinstance(value, str) else value
    return Setting(scope, key, value, because, tuple([_meant(each, scope) for each in said]), policy)


def _reason(data: Mapping[str, Any]) -> _Reason:
    said = tuple([_said_in(origin) for origin in data["origins"]])
    if not said:
        message = f"{data['policy']} decides without an origin"
        raise ValueError(message)
    return _Reason(data["policy"], data["because"], said)


def _said_in(data: Mapping[str, Any]) -> _Said:
    if "own" in data:
        return _Own(str(data["own"]))
    if "field" in data:
        return _Field(_path(data["field"]))
    if "setting" in data:
        scope, _, key = str(data["setting"]).rpartition("/")
        return Derived(_scope(scope), key)
    if "spec" in data:
        return Written(_path(data["spec"]))
    return _outside(data)


def _outside(data: Mapping[str, Any]) -> Origin:
    """An origin that is neither in the plan nor in the workload."""
    if "parameter" in data:
        return Parameter(_path(data["parameter"]), data["value"])
    if "observed" in data:
        return Observed(str(data["observed"]), str(data["place"]))
    if "default" in data:
        return Default(str(data["default"]), str(data["celery"]))
    return Constant(str(data["constant"]), data["value"])


# A plan names few scopes, and each of them in many origins.
_scope = lru_cache(maxsize=1 << 16)(scope_from_text)


def _path(path: object) -> SpecPath:
    assert isinstance(path, list)
    # Names and indices, as written.
    return tuple(path)


_BLANK = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


class _Cursor:
    """A position in a JSON text that is read one member at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self) -> Iterator[str]:
        """The keys of the object here; read the value of each before the next key."""
        self._take("{")
        if self._sign() != "}":
            yield self._key()
            while self._sign() == ",":
                self._at += 1
                yield self._key()
        self._take("}")

    def entries(self) -> Iterator[tuple[str, Any]]:
        """The keys and values of the object here."""
        for key in self.members():
            yield key, self.value()

    def value(self) -> Any:  # noqa: ANN401 - whatever a file may hold
        """The value here."""
        self._sign()
        value, self._at = _decode(self._text, self._at)
        return value

    def end(self) -> None:
        """Raises `ValueError` if more text follows."""
        if sign := self._sign():
            raise self._unexpected(sign)

    def _key(self) -> str:
        key = self.value()
        if not isinstance(key, str):
            raise self._unexpected(repr(key))
        self._take(":")
        return key

    def _sign(self) -> str:
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> None:
        if (found := self._sign()) != sign:
            raise self._unexpected(found)
        self._at += 1

    def _unexpected(self, found: str) -> ValueError:
        return ValueError(f"unexpected {found or 'end'} at {self._at}")
