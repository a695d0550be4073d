"""The file in which beat's default scheduler keeps the time of each last run: a copy is read, without trust.

Beat locks its file, and the file contains pickled objects, so no class of it is created here.
"""

from __future__ import annotations

import dbm
import io
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from policycompiler.reality.seen import Firing

LARGEST_BYTES = 64 * 1024 * 1024
_SUFFIXES = ("", ".db", ".dat", ".dir", ".bak", ".pag")
"""How implementations of dbm call the files of one database."""


class ScheduleFileError(Exception):
    """A schedule file that cannot be read; the text says why."""


def read(path: Path) -> tuple[Firing, ...]:
    """The entries of a schedule file. Raises `ScheduleFileError`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "schedule"
        _copy(path, copy)
        try:
            with dbm.open(str(copy), "r") as database:
                entries = _Reader(io.BytesIO(database[b"entries"])).load()
            told = entries.values() if isinstance(entries, dict) else ()
            return tuple(sorted(each.firing() for each in told if isinstance(each, _Anything)))
        except Exception as problem:  # noqa: BLE001 - a damaged pickle raises anything
            message = f"{path} cannot be read as a schedule of beat: {type(problem).__name__}"
            raise ScheduleFileError(message) from None


def _copy(path: Path, copy: Path) -> None:
    """Copy the files of a database."""
    found = False
    try:
        for suffix in _SUFFIXES:
            source = path.with_name(path.name + suffix)
            if source.is_file() and source.stat().st_size <= LARGEST_BYTES:
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
                found = True
    except (OSError, ValueError) as problem:
        message = f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}"
        raise ScheduleFileError(message) from None
    if not found:
        message = f"{path} is not a file of beat, or is larger than 64 MiB"
        raise ScheduleFileError(message)


class _Anything:
    """An object of any class: only the arguments of its constructor are kept."""

    def __init__(self, *arguments: object, **_: object) -> None:
        self.arguments = arguments

    def __setstate__(self, _: object) -> None:
        """Ignore the state."""

    def firing(self) -> Firing:
        """The entry of a schedule: the name, the task, the last run, the number of runs, and more.

        Before its first run, an entry has the time of the start of beat.
        """
        name, task, last, runs, *_ = self.arguments
        return Firing(str(name), str(task), last.timestamp() if isinstance(last, datetime) and runs else None)


def _attribute(owner: object, name: str) -> object:
    """What a pickle gets as `getattr`: only the constructor of a time zone."""
    return getattr(owner, name) if owner is ZoneInfo and name == "_unpickle" else _Anything


_HARMLESS: Mapping[tuple[str, str], object] = {
    **{("datetime", kind.__name__): kind for kind in (datetime, date, timedelta, timezone)},
    ("zoneinfo", "ZoneInfo"): ZoneInfo,
    ("builtins", "getattr"): _attribute,
}


class _Reader(pickle.Unpickler):
    """Reads times, and makes `_Anything` of every other class."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - a class
        return _HARMLESS.get((module, name), _Anything)
