"""Bad workloads as data: `errors/*.txt` holds each text with what is found wrong below the words at fault.

A case begins with `== TITLE`. A line of blanks and `^ CODE name: part of the message` is no part of the text:
it expects an error at the caret, in the line above. `-- file NAME` begins another file of the case, `-- env
NAME` applies an environment. What every workload needs is added below the first file where the case leaves it
out; `-- whole` adds nothing. No text ends in a line break.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from places import DATA
from workloads import HEAD

FOLDER = DATA / "errors"
FIRST_FILE = "workload.yaml"

NEEDED = {key: f"{key}: {value}" for key, value in HEAD.items()}

_EXPECTED = re.compile(r"( *)\^ (PC\d{3}) ([a-z-]+): (.+)")


class Expected(NamedTuple):
    """One error: where it is, what it is called, and some of its words."""

    file: str
    line: int
    column: int
    code: str
    name: str
    words: str


class Case(NamedTuple):
    """Files to compile together, by name, and every error in them."""

    title: str
    files: dict[str, str]
    environment: str | None
    expected: list[Expected]

    def written(self, folder: Path) -> list[Path]:
        """The files below a folder, in order."""
        paths = [folder / name for name in self.files]
        for path, text in zip(paths, self.files.values(), strict=True):
            path.write_bytes(text.encode())
        return paths


def cases() -> dict[str, Case]:
    """Every case by its topic and title."""
    return {
        f"{path.stem}: {found.title}": found
        for path in sorted(FOLDER.glob("*.txt"))
        for found in map(_case, re.split(r"^== ", path.read_text("utf-8"), flags=re.MULTILINE)[1:])
    }


def _case(text: str) -> Case:
    title, *rest = text.removesuffix("\n").split("\n")
    lines: dict[str, list[str]] = {FIRST_FILE: []}
    expected: list[Expected] = []
    environment, whole, name = None, False, FIRST_FILE
    for line in rest:
        word = line.partition(" ")[2].partition(" ")[2]
        if line == "-- whole":
            whole = True
        elif line.startswith("-- env "):
            environment = word
        elif line.startswith("-- file "):
            name = word
            lines[name] = []
        elif found := _EXPECTED.fullmatch(line):
            expected.append(
                Expected(name, max(1, len(lines[name])), len(found[1]) + 1, *found.group(2, 3, 4))
            )
        else:
            lines[name].append(line)
    if not whole:
        given = {line.partition(":")[0] for part in lines.values() for line in part}
        lines[FIRST_FILE] += [line for key, line in NEEDED.items() if key not in given]
    return Case(title, {file: "\n".join(part) for file, part in lines.items()}, environment, expected)
