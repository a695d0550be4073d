"""Parts that all emitters share: the emitted file, texts for one line, JSON and YAML."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.representer import SafeRepresenter
from yaml.resolver import Resolver

from policycompiler.plan import Plan, Scope, Setting, Value

MODE_FILE = 0o644
MODE_SCRIPT = 0o755


class OutputFile(NamedTuple):
    """One emitted file: a relative POSIX path, its text, its mode, and the settings read for it.

    A large text is held as parts, in UTF-8: to join them would take the memory once more.
    """

    path: str
    content: str | tuple[bytes, ...]
    mode: int
    read: Collection[Setting]

    @property
    def settings(self) -> frozenset[tuple[Scope, str]]:
        """Scope and key of each setting that was read for it."""
        return frozenset((setting.scope, setting.key) for setting in self.read)

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The bytes of the file, one after the other."""
        return (self.content.encode(),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The text of the file."""
        return self.content if isinstance(self.content, str) else b"".join(self.content).decode()

    @property
    def addresses(self) -> frozenset[str]:
        """The settings as users name them."""
        return frozenset(f"{scope}/{key}" for scope, key in self.settings)


_NOTHING: dict[str, Setting] = {}


class Reading(Plan):
    """A plan that notes each setting an emitter reads, for `OutputFile.settings`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan._settings)  # noqa: SLF001 - a view of the same settings
        self._read: list[Setting] = []

    def find(self, scope: Scope, key: str) -> Setting | None:
        """As `Plan.find`, and noted."""
        found = self._settings.get(scope, _NOTHING).get(key)
        if found is not None:
            self._read.append(found)
        return found

    def value(self, scope: Scope, key: str) -> Value:
        """As `Plan.value`, and noted."""
        return self.setting(scope, key).value

    def get(self, scope: Scope, key: str, default: Value = None) -> Value:
        """As `Plan.get`, and noted."""
        found = self.find(scope, key)
        return default if found is None else found.value

    def note(self, file: OutputFile) -> None:
        """Note what another file has read, because the next one contains or names its text."""
        self._read += file.read

    def file(self, path: str, text: str, mode: int = MODE_FILE) -> OutputFile:
        """An output file that shows what was read so far."""
        return OutputFile(path, text, mode, tuple(self._read))


class Raw(str):
    """Text that is already in the target's syntax and passes through a quoting environment unchanged."""

    __slots__ = ()


def one_line(value: object) -> str:
    """A text or a whole number as text that can stand on one line.

    Raises `TypeError` on any other type, and `ValueError` on control characters, which no target can quote.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        message = f"{value!r} is neither text nor a whole number"
        raise TypeError(message)
    text = str(value)
    # Printable text has no control characters, and `isprintable` is faster than a check of each character.
    if not text.isprintable() and any(unicodedata.category(each) in {"Cc", "Cs"} for each in text):
        message = f"control character in {text!r}"
        raise ValueError(message)
    return text


def shipped(folder: str) -> Path:
    """A folder of the distribution: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def json_text(data: Value | Mapping[str, object]) -> str:
    """Canonical JSON: sorted keys, two blanks, a final newline."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


_PLAIN_KEY = re.compile(r"[a-z][a-z]+(_[a-z]+|[A-Z][a-z]+)*")
_OTHER_THAN_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null"})
_OTHERS = SafeRepresenter()


def yaml_text(data: Mapping[str, object] | list[object]) -> str:
    """YAML in the order given, one line a value, and no anchors.

    Every text is double-quoted: other YAML readers read `1e3`, `0o17` or `y` as another type. Only keys that
    are plain words have no quotes.
    """
    # Of the time that `yaml.dump` needs, half is for the nodes.
    return yaml.serialize(_node(data), Dumper=yaml.CSafeDumper, width=2**20, allow_unicode=True)


def _node(data: object) -> Node:
    if isinstance(data, str):
        return ScalarNode(Resolver.DEFAULT_SCALAR_TAG, data, style='"')
    if isinstance(data, Mapping):
        pairs = [(_key(key), _node(value)) for key, value in data.items()]
        return MappingNode(Resolver.DEFAULT_MAPPING_TAG, pairs, flow_style=False)
    if isinstance(data, list | tuple):
        return SequenceNode(Resolver.DEFAULT_SEQUENCE_TAG, [_node(each) for each in data], flow_style=False)
    return _OTHERS.represent_data(data)


def _key(text: str) -> Node:
    """A key that every YAML reader reads as the same text."""
    plain = _PLAIN_KEY.fullmatch(text) and text not in _OTHER_THAN_TEXT
    return ScalarNode(Resolver.DEFAULT_SCALAR_TAG, text, style=None if plain else '"')
