"""Reads files and folders as text.

Because:
    People read a workload in reviews. A binary file or a huge file is usually a mistake in the list of
    sources. Limits keep a check fast for any source.

Refuses:
    PC001 unreadable-file: name a readable regular file in UTF-8.
        when: a source is missing, unreadable, not a regular file, or not UTF-8.
    PC006 document-too-large: split the file, or split the workload into several services.
        when: a file has more than 16 MiB; a list or mapping has more than 20000 entries; a document has more
            than a million values, 32 levels, 100 anchors, or 10000 values repeated by aliases.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from policycompiler.diagnostics import Diagnostic, Place, fatal
from policycompiler.load.marks import Source
from policycompiler.quantities import size

LARGEST_FILE_BYTES = 16 * 1024 * 1024
COMPILED = frozenset({"manifest.json", "plan.json"})
"""A folder with these files is the output of a compile, not a source."""

UNREADABLE = fatal("PC001", "unreadable-file")
TOO_LARGE = fatal("PC006", "document-too-large")

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def find_sources(
    sources: Iterable[Path], leave_out: Path | None = None, *, root: Path = Path()
) -> list[Path]:
    """The workload files behind files and folders, in order, each once.

    A folder stands for every `*.yaml` and `*.yml` below it, sorted. As in a shell, names that start with a
    dot do not match, and links to folders are not followed. Files in a compiled folder do not count.
    Unreadable folders and irregular files stay in the result, so that `load` reports them. `leave_out` is a
    file among the sources that is not one: the policy file. All names, including the result, are relative to
    `root`.
    """
    found: list[Path] = []
    for source in sources:
        folder = root / source
        # Path.is_dir raises on impossible file names.
        below = _files_below(folder) if os.path.isdir(folder) else [folder]  # noqa: PTH112
        found += [source / path.relative_to(folder) for path in below]
    once: dict[object, Path] = {}
    for path in found:
        once.setdefault(_identity(root / path), path)
    if leave_out is not None:
        once.pop(_identity(root / leave_out), None)
    return list(once.values())


def _identity(path: Path) -> object:
    """The identity that two names of one file share."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return path
    return status.st_dev, status.st_ino


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []

    def keep_unlisted(problem: OSError) -> None:
        found.append(Path(problem.filename))

    for parent, folders, names in os.walk(folder, onerror=keep_unlisted):
        if COMPILED.issubset(names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if name.endswith((".yaml", ".yml")) and not name.startswith(".")
        ]
    return sorted(found)


def read_text(path: Path, findings: list[Diagnostic], root: Path = Path()) -> Source | None:
    """A file's name and text, or None and a finding; the name is relative to `root`."""
    # A file name may not be UTF-8, but every output is.
    name = path.as_posix().encode("utf-8", "backslashreplace").decode()
    start = Place(name, 1, 1)
    try:
        raw = read_bounded(root / path, LARGEST_FILE_BYTES + 1)
    except OSError as problem:
        findings.append(UNREADABLE.at((), f"cannot be read: {problem.strerror}", place=start))
        return None
    if len(raw) > LARGEST_FILE_BYTES:
        message = f"the file is larger than {size(LARGEST_FILE_BYTES)}, the limit for a workload file"
        findings.append(TOO_LARGE.at((), message, place=start, help="split the file into several files"))
        return None
    try:
        return Source(name, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        # The codec removes a byte order mark before it counts.
        before = problem.object[: problem.start].decode()
        place = Source(name, before).place(len(before))
        message = f"byte 0x{problem.object[problem.start]:02x} is not UTF-8"
        findings.append(UNREADABLE.at((), message, place=place, help="save the file as UTF-8"))
        return None


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The first bytes of a regular file.

    Raises `OSError` with a readable `strerror`, also for a pipe, a device, a folder, and an impossible name.
    Every file that a user names is read this way, so no file can fill the memory or block the program.
    """
    try:
        mode = path.stat().st_mode
    except ValueError as problem:
        raise OSError(errno.EINVAL, str(problem)) from None
    if not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
        # Opening a pipe would wait for its writer.
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file")
    with path.open("rb") as file:
        return file.read(most_bytes)


def hashes(texts: Mapping[str, str]) -> dict[str, str]:
    """The sha256 of each text, by its path below the folder that all of them share."""
    folders = [os.path.dirname(os.path.abspath(name)) for name in texts]  # noqa: PTH100, PTH120 - no links followed
    shared = os.path.commonpath(folders) if folders else ""
    return {
        Path(os.path.relpath(name, shared)).as_posix(): sha256(text.encode()).hexdigest()
        for name, text in texts.items()
    }
