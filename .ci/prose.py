"""The prose check: plain English in what people read, by the rules of CONTRIBUTING.md.

Reads the documents, the docstrings and strings of the package, the comments of the templates, and the
words as they come out (`tests/data/words`). Spelling is codespell's, American; the banned words are in
`.ci/prose.txt`, a line each: a regular expression, a tab, what to write instead. Prints each fault with file
and line; exits 1 when there is one. `prose.py FILE…` checks these files only.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
LONGEST_WORDS = 25
FEWEST_WORDS = 3
"""A shorter string is a name or a part of one."""
DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md")
SOURCES = ("policycompiler/**/*.py",)
TEMPLATES = ("templates/**/*.j2", "policycompiler/**/*.tmpl")
WORDS = ("tests/data/words/*.txt",)

_HOLE = "X"
"""What stands for a value in a sentence."""

_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+(?=[\"'(A-Z`«])|\n\s*\n|\n\s*[-*] |;\s")
_CODE = re.compile(r"``[^`]*``|`[^`]*`")


class Prose(NamedTuple):
    """Words that people read, and where they stand."""

    path: Path
    line: int
    text: str


class Fault(NamedTuple):
    """What is wrong with a sentence."""

    path: Path
    line: int
    message: str


def of_markdown(path: Path) -> Iterator[Prose]:
    """The paragraphs, list items, headings and table cells; no code."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8")):
        if token.type == "inline" and token.map:
            parts = [
                child.content if child.type == "text" else _HOLE if child.type == "code_inline" else " "
                for child in token.children or ()
            ]
            yield Prose(path, token.map[0] + 1, "".join(parts))


def of_python(path: Path) -> Iterator[Prose]:
    """The docstrings and the strings of three words or more."""
    tree = ast.parse(path.read_text("utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else _HOLE for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            text = node.value
        else:
            continue
        if len(text.split()) >= FEWEST_WORDS:
            yield Prose(path, node.lineno, text)


def of_lines(path: Path) -> Iterator[Prose]:
    """Each line of a text as it came out."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield Prose(path, number, line)


READERS = {".md": of_markdown, ".py": of_python}


def banned() -> list[tuple[re.Pattern[str], str]]:
    """The words and constructions that are not written, and what is written instead."""
    lines = (ROOT / ".ci" / "prose.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [
        (re.compile(rf"(?<![\w-]){pattern}(?![\w-])", re.IGNORECASE), instead) for pattern, instead in pairs
    ]


def faults(prose: Prose, ban: list[tuple[re.Pattern[str], str]]) -> Iterator[Fault]:
    """What is wrong with it."""
    text = _CODE.sub(_HOLE, prose.text)
    for pattern, instead in ban:
        for found in pattern.finditer(text):
            line = prose.line + text.count("\n", 0, found.start())
            yield Fault(prose.path, line, f"`{found.group()}`: {instead}")
    for sentence in _SENTENCE_END.split(text):
        words = [word for word in sentence.split() if any(map(str.isalnum, word))]
        if len(words) > LONGEST_WORDS:
            yield Fault(prose.path, prose.line, f"{len(words)} words in a sentence: {' '.join(words[:8])} …")


def main(arguments: list[str]) -> int:
    """Check the files named, or all."""
    patterns = (*DOCUMENTS, *SOURCES, *TEMPLATES, *WORDS)
    paths = [Path(name) for name in arguments] or sorted(
        path for pattern in patterns for path in ROOT.glob(pattern)
    )
    ban = banned()
    found = [
        fault
        for path in paths
        for prose in READERS.get(path.suffix, of_lines)(path)
        for fault in faults(prose, ban)
    ]
    for fault in found:
        sys.stdout.write(f"{fault.path}:{fault.line}: {fault.message}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
