"""The programs that tests hand our files to, and a stand-in for `celery` that tells how it was started."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest


def needs(tool: str) -> str:
    """The path of a program; without it the test is skipped, but fails where `CI` is `true`."""
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which(tool, path=folders)
    if found is None:
        reason = f"{tool} is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


class Start(NamedTuple):
    """One start of the stand-in: its process, its arguments, its environment."""

    pid: int
    arguments: list[str]
    environment: Mapping[str, str]


class StandIn(NamedTuple):
    """A program `celery` in `folder` that notes each start in `notes`."""

    folder: Path
    notes: Path

    def starts(self) -> list[Start]:
        """What was noted so far, in no order."""
        return [Start(*json.loads(note.read_text("utf-8"))) for note in self.notes.glob("*.json")]


def stand_in(parent: Path, *, stays: bool = False) -> StandIn:
    """Put a `celery` below `parent` that ends at once or, when it `stays`, on a signal."""
    found = StandIn(parent / "bin", parent / "notes")
    found.folder.mkdir()
    found.notes.mkdir()
    program = found.folder / "celery"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, signal, sys\n"
        "start = [os.getpid(), sys.argv[1:], dict(os.environ)]\n"
        f"note = {str(found.notes)!r} + '/' + str(os.getpid())\n"
        "with open(note, 'w', encoding='utf-8') as file:\n"
        "    json.dump(start, file)\n"
        "os.rename(note, note + '.json')\n" + ("signal.pause()\n" if stays else ""),
        encoding="utf-8",
    )
    program.chmod(0o755)
    return found
