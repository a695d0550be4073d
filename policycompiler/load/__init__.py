"""Text to data: strict YAML with a line and column for every value, and one document of all files.

`files` finds and reads files. `parse` turns one text into data and marks. `scalars` has the meanings of
unquoted texts. `merge` applies an environment and merges all files. `revision` extracts the files of a git
revision, with `git`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Place, SpecPath
from policycompiler.load.files import (
    LARGEST_FILE_BYTES,
    TOO_LARGE,
    find_sources,
    hashes,
    read_bounded,
    read_text,
)
from policycompiler.load.git import RevisionError
from policycompiler.load.marks import Data, Mapped, Mark, lines_of, place_in
from policycompiler.load.merge import UNKNOWN_ENVIRONMENT, merge_patch, merged, with_environment
from policycompiler.load.parse import parse
from policycompiler.load.revision import Extract, at_revision

__all__ = [
    "LARGEST_FILE_BYTES",
    "TOO_LARGE",
    "UNKNOWN_ENVIRONMENT",
    "Data",
    "Document",
    "Extract",
    "Mapped",
    "Mark",
    "OneFile",
    "RevisionError",
    "at_revision",
    "find_sources",
    "hashes",
    "lines_of",
    "load",
    "load_one",
    "merge_patch",
    "parse",
    "place_in",
    "read_bounded",
]


class Document(NamedTuple):
    """The sources of one compile, merged. Entries share its data: do not modify it.

    `data` has every section except `owner`, `defaults` and `environments`, which are already applied to their
    file. `marks` has the places of its values, and `texts` the sources by file name. `per_file` has the data
    and marks of each file alone, with all its sections and with the environment applied. `policy` has the
    places of the values of the policy file, if there is one.
    """

    data: Mapped
    marks: Mark
    texts: Mapping[str, str]
    per_file: tuple[tuple[Mapped, Mark], ...]
    policy: Mark | None = None

    def place(self, path: SpecPath, *, key: bool = False) -> Place:
        """The place of a path of the merged data, or of its nearest parent."""
        return place_in(self.marks, path, key=key)

    def overlays(self) -> dict[str, list[str]]:
        """The overlays of all files for each environment, as canonical texts in sorted order."""
        found: dict[str, list[str]] = {}
        for data, _ in self.per_file:
            environments = data.get("environments")
            for name, overlay in environments.items() if isinstance(environments, dict) else ():
                found.setdefault(name, []).append(json.dumps(overlay, sort_keys=True))
        return {name: sorted(texts) for name, texts in found.items()}

    def environment(self, name: str) -> tuple[Document, list[Diagnostic]]:
        """The same sources in an environment. Only for a document that is not in one yet."""
        findings: list[Diagnostic] = []
        parsed = with_environment(self.per_file, name, findings)
        data, marks = merged(parsed, findings)
        return self._replace(data=data, marks=marks, per_file=tuple(parsed)), findings

    def environment_place(self, name: str) -> Place | None:
        """Where the first file declares an environment."""
        for _, mark in self.per_file:
            found = mark.children.get("environments")
            if found is not None and name in found.children:
                return found.children[name].key_place
        return None

    def beside(self, file: OneFile | None) -> Document:
        """The same document with the text and places of the policy file, if there is one."""
        if file is None:
            return self
        return self._replace(texts={**self.texts, file.name: file.text}, policy=file.mark)

    def policy_place(self, path: SpecPath) -> Place | None:
        """The place of a path of the policy file; None if the file does not have it."""
        mark = self.policy
        for part in path:
            mark = None if mark is None else mark.children.get(part)
        return None if mark is None else mark.place


class OneFile(NamedTuple):
    """A file that is not merged with others: its data, places, name and text."""

    data: Mapped
    mark: Mark
    name: str
    text: str


def load_one(path: Path, *, root: Path = Path()) -> tuple[OneFile | None, list[Diagnostic]]:
    """Read a file that is not merged with others; None if it is unreadable. `root` is as for `load`."""
    findings: list[Diagnostic] = []
    source = read_text(path, findings, root)
    if source is None:
        return None, findings
    data, mark = parse(source.text, source.name, findings)
    return OneFile(data, mark, source.name, source.text), findings


def load(
    files: Iterable[Path], environment: str | None = None, *, root: Path = Path()
) -> tuple[Document, list[Diagnostic]]:
    """Read, check and merge workload files. The document is usable only when no finding is an error.

    `root` is the folder that the file names are relative to; no output shows it.
    """
    texts: dict[str, str] = {}
    findings: list[Diagnostic] = []
    parsed: list[tuple[Mapped, Mark]] = []
    unread = False
    for path in files:
        before = len(findings)
        source = read_text(path, findings, root)
        if source is not None:
            texts[source.name] = source.text
            data, mark = parse(source.text, source.name, findings)
            if data or len(findings) == before:
                parsed.append((data, mark))
                continue
        unread = True
    if environment is not None:
        # An unreadable file may be the file with the environment.
        parsed = with_environment(parsed, environment, [] if unread else findings)
    data, marks = merged(parsed, findings)
    return Document(data, marks, texts, tuple(parsed)), findings
