"""Values as Python, laid out as `ruff format` and Black leave them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from policycompiler.emitters.base import Raw

WIDTH = 88
"""Columns of a line, the default of Black and `ruff format`."""
INDENT = 4


_ATOMS = frozenset({str, Raw, bool, int, float, type(None)})
"""The types of most values, which never have brackets."""


class Call(NamedTuple):
    """A call of a function by its name; arguments are values, expressions or calls."""

    function: str
    arguments: tuple[object, ...] = ()
    keywords: Mapping[str, object] = {}


class InOrder(dict[str, object]):
    """A mapping whose keys have an order that readers expect; all others are sorted."""


class _Brackets(NamedTuple):
    """The items between two brackets, each with the text before it on its line."""

    opening: str
    items: list[tuple[str, object]]
    closing: str


def python_literal(value: object) -> str:
    """A value as Python on one line. Text is quoted; expressions are already `Raw`."""
    if type(value) in _ATOMS or (brackets := _brackets(value)) is None:
        return _atom(value)
    inner = ", ".join(f"{before}{python_literal(item)}" for before, item in brackets.items)
    lonely = "," if isinstance(value, tuple) and not isinstance(value, Call) and len(value) == 1 else ""
    return f"{brackets.opening}{inner}{lonely}{brackets.closing}"


def laid_out(value: object, *, indent: int = 0, before: int = 0, after: int = 0) -> str:
    """A value as Python: on one line if it fits, else one item a line.

    The line is indented by `indent` columns. There are `before` columns before the value, indent included,
    and `after` columns after it. The comma after a last item makes formatters keep the lines.
    """
    line, brackets = python_literal(value), _brackets(value)
    if brackets is None or not brackets.items or before + len(line) + after <= WIDTH:
        return line
    inner = indent + INDENT
    items = "".join(
        f"{' ' * inner}{start}{laid_out(item, indent=inner, before=inner + len(start), after=1)},\n"
        for start, item in brackets.items
    )
    return f"{brackets.opening}\n{items}{' ' * indent}{brackets.closing}"


def assignment(name: str, value: object) -> str:
    """`name = value`.

    A mapping has one item a line, so a change of one item changes one line. A long text is between brackets
    on a separate line if it fits there.
    """
    text = laid_out(value, before=WIDTH if isinstance(value, Mapping) else len(name) + 3)
    if "\n" not in text and len(name) + 3 + len(text) > WIDTH >= INDENT + len(text):
        return f"{name} = (\n{' ' * INDENT}{text}\n)"
    return f"{name} = {text}"


def _brackets(value: object) -> _Brackets | None:
    """The brackets of a value, or None if it has none."""
    if isinstance(value, Call):
        keywords = ((f"{name}=", item) for name, item in value.keywords.items())
        return _Brackets(f"{value.function}(", [*_bare(value.arguments), *keywords], ")")
    if isinstance(value, dict | Mapping):
        # Sorted: the order of keys in a workload has no meaning.
        keys = value if isinstance(value, InOrder) else sorted(value)
        return _Brackets("{", [(f"{python_literal(key)}: ", value[key]) for key in keys], "}")
    if isinstance(value, tuple):
        return _Brackets("(", _bare(value), ")")
    if isinstance(value, list):
        return _Brackets("[", _bare(value), "]")
    return None


def _bare(items: Iterable[object]) -> list[tuple[str, object]]:
    return [("", item) for item in items]


def _atom(value: object) -> str:
    if isinstance(value, str):
        return value if isinstance(value, Raw) else _quoted(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value).replace("e+", "e")
    if value is None or isinstance(value, bool | int):
        return repr(value)
    message = f"{value!r} has no Python literal"
    raise TypeError(message)


# Tasks share the names of options and most of their values.
@lru_cache(maxsize=1 << 12)
def _quoted(text: str) -> str:
    """In ASCII, with the quotes that need fewer backslashes, else double quotes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = text.encode("unicode_escape").decode("ascii")
    return f"{quote}{escaped.replace(quote, f'{chr(92)}{quote}')}{quote}"
