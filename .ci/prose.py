"""The prose check: banned words, long sentences and placeholders in what people read.

It reads the documents, the docstrings and strings of the package, templates, schemas, examples, and the
sentences as they come out (`tests/data/words`, `tests/data/golden`). codespell checks the spelling.
`.ci/prose.txt` has the banned words, one per line: a regular expression, a tab, and what to write instead.
The check prints each fault with file and line, and exits with 1 if there is one. `prose.py FILE…` checks
only these files.
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
READ = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md"),
    *("policycompiler/**/*.py", "templates/**/*", "schemas/*.json", "examples/**/*.yaml"),
    *("tests/data/words/*.txt", "tests/data/golden/**/*.md"),
)

_SCRIPT = "redis.call("
"""What only a script for Redis has, which is no prose."""
_HOLE = "X"
"""The stand-in for a value in a sentence."""

_SENTENCE_END = re.compile(r"[.!?]\s+(?=[\"'(A-Z`X])|[:;]\s|\s[(–—]|\n\s*\n|\n\s*[-*] ")  # noqa: RUF001
_CODE = re.compile(
    r"``[^`]*``|`[^`]*`|\S*[/_.]\w\S*?(?=[).,;:]*(?:\s|$))"
    r"|\d+(?: (?:d|h|min|s|KiB|MiB|GiB)\b(?: \d+(?= (?:h|min|s)\b))?)+"
)
"""Code, addresses, dotted names, and amounts such as `1 h 30 min`: each counts as one word."""
_EXAMPLE = re.compile(
    r"\n(?:Example:\n.*?(?=\n[A-Z]\w+:\n|$)|        +(?:fires|silent|when):.*?(?=\n {0,4}\S|$))", re.DOTALL
)
"""The parts of a manual page that are YAML."""
_DESCRIPTION = re.compile(r'"description": "(.*)"')
_PLACEHOLDER = re.compile(r"\b(?:MILLISECONDS|SECONDS|NUMBER|STRING|VALUE|TODO|FIXME)\b")


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
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inner
            and _SCRIPT not in node.value
        ):
            text = node.value
        else:
            continue
        words = text.split()
        names = sum("_" in word for word in words)
        if len(words) >= FEWEST_WORDS and 2 * names < len(words):
            yield Prose(path, node.lineno, _EXAMPLE.sub("\n\n", text))


def of_lines(path: Path) -> Iterator[Prose]:
    """Each line of a text; a record begins with the code of a finding, or with what the sentence is about."""
    recorded = path.parent.name == "words"
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield Prose(path, number, line.partition(" ")[2] if recorded else line)


def of_json(path: Path) -> Iterator[Prose]:
    """The descriptions of a schema."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if found := _DESCRIPTION.search(line):
            yield Prose(path, number, found[1])


def of_comments(path: Path) -> Iterator[Prose]:
    """The comments of a workload or a template."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield Prose(path, number, line.partition("#")[2])


READERS = {".md": of_markdown, ".py": of_python, ".json": of_json, ".yaml": of_comments}


def banned() -> list[tuple[re.Pattern[str], str]]:
    """The words and constructions that are not written, and what is written instead."""
    lines = (ROOT / ".ci" / "prose.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [
        (re.compile(rf"(?<![\w-]){pattern}(?![\w-])", re.IGNORECASE), instead) for pattern, instead in pairs
    ]


_NAMES = re.compile(rf"\b{_HOLE}(?:[,;:]?\s+(?:and |or )?{_HOLE}\b)+")
"""A list of names, which a reader skips as one."""


def faults(prose: Prose, ban: list[tuple[re.Pattern[str], str]]) -> Iterator[Fault]:
    """What is wrong with it."""
    text = _CODE.sub(_HOLE, prose.text)
    for found in _PLACEHOLDER.finditer(prose.text):
        yield Fault(prose.path, prose.line, f"`{found.group()}`: write a number or a name")
    for pattern, instead in ban:
        for found in pattern.finditer(text):
            line = prose.line + text.count("\n", 0, found.start())
            yield Fault(prose.path, line, f"`{found.group()}`: {instead}")
    for sentence in _SENTENCE_END.split(text):
        words = [word for word in _NAMES.sub(_HOLE, sentence).split() if any(map(str.isalnum, word))]
        if len(words) > LONGEST_WORDS:
            yield Fault(prose.path, prose.line, f"{len(words)} words in a sentence: {' '.join(words[:8])} …")


def main(arguments: list[str]) -> int:
    """Check the files named, or all."""
    paths = [Path(name) for name in arguments] or sorted(
        path.relative_to(ROOT) for pattern in READ for path in ROOT.glob(pattern) if path.is_file()
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
