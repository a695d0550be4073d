"""The changes that a compile made to the output folder, or would make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from policycompiler.report.text import clean, counted


class Compared(Protocol):
    """How a folder differs from the compiled files."""

    @property
    def differences(self) -> Mapping[str, str]:
        """The kind of difference by relative path."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether there is none."""
        ...


def comparison_text(folder: Path, comparison: Compared, *, written: bool) -> str:
    """One line for each file that differs, and a summary."""
    where = clean(folder.as_posix())
    if comparison.fresh:
        return f"{where} is up to date\n"
    if written:
        number = sum(kind != "orphaned" for kind in comparison.differences.values())
        gone = len(comparison.differences) - number
        removed = f", removed {counted(gone, 'file')}" if gone else ""
        return f"wrote {counted(number, 'file')} to {where}{removed}\n"
    lines = [f"{kind}: {where}/{clean(path)}" for path, kind in comparison.differences.items()]
    number = len(comparison.differences)
    verb = "differs" if number == 1 else "differ"
    return "\n".join([*lines, f"{counted(number, 'file')} {verb}: run `policycompiler compile`"]) + "\n"


def files_text(files: Iterable[tuple[str, str]]) -> str:
    """The text of a single file as it is; each of several files under a line with its path."""
    found = list(files)
    if len(found) == 1:
        return found[0][1]
    return "\n".join(f"==> {path} <==\n{text}" for path, text in found)
