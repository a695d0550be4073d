"""The meaning of an unquoted text, if every YAML reader agrees about it."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Plain: TypeAlias = bool | int | float | str | None

LONGEST_INTEGER_DIGITS = 18
LONGEST_SHOWN = 24

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_YAML_1_1_WORDS = frozenset({"=", "<<"})
_NUMBER_START = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# A number to some readers, and a different number or text to others. The second line is base 60.
_NUMBER_TO_SOME = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|(?=[_.]*[0-9])[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?)"
)


class AmbiguousScalarError(ValueError):
    """YAML readers disagree about a text, or it is a number that some of them cannot represent."""


def plain_value(text: str) -> Plain:
    """The value of an unquoted text; `yes`, `no`, `on`, `off` and dates are text."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _YAML_1_1_WORDS:
        problem = f"`{text}` has a special meaning for some YAML readers"
        raise AmbiguousScalarError(problem)
    return _number_or_text(text) if text[0] in _NUMBER_START else text


def _number_or_text(text: str) -> Plain:
    if _INTEGER.fullmatch(text):
        if len(text) <= LONGEST_INTEGER_DIGITS:
            return int(text)
        problem = f"an integer of {len(text)} digits is too large for some YAML readers"
    elif _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
        problem = f"{_shown(text)} is too large for a number"
    elif _NOT_FINITE.fullmatch(text):
        problem = f"`{text}` is not a finite number"
    elif _NUMBER_TO_SOME.fullmatch(text):
        problem = f"YAML readers disagree about what {_shown(text)} is"
    else:
        return text
    raise AmbiguousScalarError(problem)


def _shown(text: str) -> str:
    return f"`{text}`" if len(text) <= LONGEST_SHOWN else f"a number of {len(text)} characters"
