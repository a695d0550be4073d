"""Generated YAML texts, and what two other readers make of them."""

from __future__ import annotations

import json
import re
from itertools import chain

import yaml
from hypothesis import strategies as st

_YAML_1_1_ONLY = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}


class ReferenceLoader(yaml.CSafeLoader):
    """PyYAML's reader, for which yes, no, on, off and dates are text, and so is every key."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _YAML_1_1_ONLY]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):  # noqa: ARG002, FBT002 - PyYAML's signature
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


ReferenceLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


_YAML_1_2 = (
    (r"null|Null|NULL|~|", lambda _: None),
    (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+|0x[0-9a-fA-F]+", lambda text: int(text, 0)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", lambda text: float(text.replace(".", ""))),
)


def yaml_1_2_value(text):
    """What an unquoted text is in the core schema of YAML 1.2."""
    return next((value_of(text) for pattern, value_of in _YAML_1_2 if re.fullmatch(pattern, text)), text)


_PLAIN = (
    "word", "two words", "1", "-1", "+7", "1.5", "-0.25", "3.", "1.5e+3", "true", "FALSE", "null", "~", "",
    "yes", "no", "on", "Off", "y", "2027-03-31", "2001-12-14 21:59:43", "5.7.0", "100ms", "10/m", "=x", "<",
    "é", "😀 x", "a#b", "http://x:1/y", "-x", "a\\b", "it's", "${URL}", "0.0", "0", "...x", ".x",
)  # fmt: skip
_printable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=8)
_double = _printable.map(lambda text: json.dumps(text, ensure_ascii=False))
_escaped = _printable.map(json.dumps).filter(lambda text: "\\ud" not in text)
_single = _printable.map(lambda text: "'" + text.replace("'", "''") + "'")
_scalars = st.one_of(st.sampled_from(_PLAIN), _double, _escaped, _single)
_keys = st.one_of(st.sampled_from(("a", "b.c", "1", "yes", "null", "é", "😀", "k k", "-k")), _double, _single)
_words = st.text("ab😀 #:", min_size=1, max_size=8).map(lambda text: "x" + text.rstrip())


def _unique_pairs(values):
    pairs = st.lists(st.tuples(_keys, values), min_size=1, max_size=4)
    return pairs.map(lambda found: list({_text_of_key(key): (key, value) for key, value in found}.values()))


def _text_of_key(key):
    return yaml.load(f"[{key}]", yaml.CBaseLoader)[0]


def _larger(values):
    return st.one_of(
        st.tuples(st.just("mapping"), _unique_pairs(values)),
        st.tuples(st.just("list"), st.lists(values, min_size=1, max_size=4)),
    )


_shapes = st.recursive(
    st.one_of(
        st.tuples(st.just("scalar"), _scalars),
        st.tuples(st.sampled_from(("|", ">", "|-", ">+")), st.lists(_words, min_size=1, max_size=3)),
        st.tuples(st.just("alias"), st.integers(0, 9)),
        st.tuples(st.just("empty"), st.sampled_from(("[]", "{}"))),
    ),
    _larger,
    max_leaves=12,
)


class _Writer:
    """Writes a shape; which values carry an anchor or are in flow style is drawn from `choices`."""

    def __init__(self, choices):
        self.choices = choices
        self.anchors = []
        self.count = 0

    def choose(self, chances):
        return self.choices.randrange(chances) == 0

    def anchor(self):
        if not self.choose(5):
            return "", None
        self.count += 1
        return f" &n{self.count}", f"n{self.count}"

    def flow(self, shape):
        kind, content = shape
        if kind == "mapping":
            return "{" + ", ".join(f"{key}: {self.flow(value)}" for key, value in content) + "}"
        if kind == "list":
            return "[" + ", ".join(self.flow(value) or "~" for value in content) + "]"
        if kind == "alias":
            return f"*{self.anchors[content % len(self.anchors)]} " if self.anchors else "~"
        # A brace or a space before a comma ends a plain text here.
        return {"${URL}": "'${URL}'"}.get(content, content) if kind in {"scalar", "empty"} else "block"

    def value(self, shape, indent):
        """What follows `key:` or `-`, to the end of the line or lines."""
        kind, content = shape
        if kind == "alias" and self.anchors:
            return " " + self.flow(shape) + "\n"
        prefix, name = self.anchor()
        text = prefix + self.content(kind, content, indent)
        if name:
            self.anchors.append(name)
        return text

    def content(self, kind, content, indent):
        spaces = " " * indent
        comment = "  # it's: {a} comment" if self.choose(4) else ""
        if kind in {"|", ">", "|-", ">+"}:
            return f" {kind}\n" + "".join(f"{spaces}  {line}\n" for line in content)
        if kind in {"mapping", "list"} and not self.choose(3):
            before = comment + "\n" + ("\n" if self.choose(6) else "")
            if kind == "list":
                return before + "".join(f"{spaces}-{self.value(item, indent + 2)}" for item in content)
            return before + "".join(f"{spaces}{key}:{self.value(item, indent + 1)}" for key, item in content)
        return f" {self.flow((kind, content))}{comment}\n"


@st.composite
def yaml_texts(draw):
    """Mappings in every style: block and flow, quoted and folded, anchors and comments, CRLF or not."""
    pairs = draw(_unique_pairs(_shapes))
    writer = _Writer(draw(st.randoms(use_true_random=False)))
    text = "".join(f"{key}:{writer.value(value, 1)}" for key, value in pairs)
    head = draw(st.sampled_from(("", "---\n", "# head\n", "# x\n\n--- # y\n")))
    return (head + text).replace("\n", draw(st.sampled_from(("\n", "\r\n", "\r"))))


_TOKENS = (
    "a", "b", "1", "010", "\n", "\n ", "\n  ", "\n- ", ": ", ":", "- ", "-", "? ", "[", "]", "{", "}",
    ",", ", ", "&a ", "*a", "!!str ", "!x ", "|", ">", "'", '"', "#", " # c", "%", "@", "`", "---\n",
    "...\n", "<<", "=", "~", "yes", "\t", "\r\n", "😀", "\\", "\\u0000", "\\x1b", "\x00", "\u2028",
    "\ufeff", "2027-03-31", "1_000", "12:30", ".5", "é",
)  # fmt: skip
token_texts = st.lists(st.sampled_from(_TOKENS), max_size=25).map(lambda tokens: "k: " + "".join(tokens))


def mutated(text, choices):
    """The text with a few pieces cut, doubled, swapped or replaced by something that YAML cares about."""
    for _ in range(choices.randint(1, 4)):
        at, length = choices.randrange(len(text) + 1), choices.randrange(6)
        piece = choices.choice(("", text[at : at + length] * 2, choices.choice(_TOKENS)))
        text = text[:at] + piece + text[at + length :]
    return text


def values_and_paths(value, path=()):
    """Every value below a value with its path."""
    yield path, value
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    yield from chain.from_iterable(values_and_paths(child, (*path, key)) for key, child in children)
