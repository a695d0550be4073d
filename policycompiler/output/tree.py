"""The folder as a file tree: read, locked, built next to the old folder, and swapped.

This module does not know the meaning of the files.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import Literal

from policycompiler.emitters.base import OutputFile

MODE_FOLDER = 0o755
LOCK_WAIT_SECONDS = 30.0

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)


def survey(folder: Path) -> dict[str, os.stat_result]:
    """Everything below the folder on its file system, and the folder as `.`; empty if it does not exist."""
    try:
        seen = {".": folder.lstat()}
    except FileNotFoundError:
        return {}
    pending = ["."]
    while pending:
        at = pending.pop()
        with os.scandir(folder / at) as entries:
            for entry in entries:
                path = str(PurePosixPath(at, entry.name))
                seen[path] = status = entry.stat(follow_symlinks=False)
                if S_ISDIR(status.st_mode) and status.st_dev == seen["."].st_dev:
                    pending.append(path)
    return seen


def ancestors(paths: Iterable[str]) -> set[str]:
    """Every folder that one of these relative paths is in, `.` included."""
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents}


@contextmanager
def locked(parent: Path) -> Iterator[None]:
    """Hold the write lock of a parent folder; an OSError if another write holds it for too long."""
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise OSError(
                        errno.EAGAIN, "another compile is writing in the same parent folder"
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _prefix(target: Path, role: Literal["new", "old"]) -> str:
    """The prefix of our temporary folders next to a target."""
    return f".{target.name}.policycompiler-{role}-"


def clear_leftovers(target: Path) -> None:
    """Clean up after killed writes: restore a tree that was moved aside, delete the rest."""
    for path in sorted(target.parent.iterdir()):
        if path.name.startswith(_prefix(target, "old")) and not target.exists():
            path.rename(target)
        elif path.name.startswith((_prefix(target, "old"), _prefix(target, "new"))):
            _remove_tree(path)


def _remove_tree(tree: Path) -> None:
    """Delete one of our trees as far as possible; the next write deletes the rest."""
    with suppress(OSError):
        for _, _, _, descriptor in os.fwalk(tree):
            os.fchmod(descriptor, 0o700)
    shutil.rmtree(tree, ignore_errors=True)


def replace(
    target: Path,
    seen: Mapping[str, os.stat_result],
    carried: Iterable[str],
    standing: frozenset[str],
    written: Sequence[OutputFile],
) -> None:
    """Build the new tree next to the target and swap their names.

    `seen` is the surveyed target. Paths in `carried` are copied, and folders in `standing` stay. Raises
    OSError if the system or another process prevents it; the target is then unchanged.
    """
    parent = target.parent
    if {status.st_dev for status in seen.values()} - {parent.stat().st_dev}:
        raise OSError(errno.EXDEV, "it is a mount point or contains one; use a folder below it")
    new = Path(tempfile.mkdtemp(prefix=_prefix(target, "new"), dir=parent))
    try:
        build(new, target, seen, carried, standing, written)
        if _marks(survey(target)) != _marks(seen):
            raise OSError(errno.EAGAIN, "another process changed it during the write")
        if not seen:
            new.rename(target)
        elif not swapped_at_once(new, target):
            swap_in_three_steps(new, target)
        _sync(parent)
    finally:
        _remove_tree(new)


def _marks(seen: Mapping[str, os.stat_result]) -> dict[str, tuple[int, ...]]:
    """The attributes of a file that change when a process replaces, writes or chmods it."""
    return {
        path: (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
        for path, status in seen.items()
    }


def build(
    new: Path,
    old: Path,
    seen: Mapping[str, os.stat_result],
    carried: Iterable[str],
    standing: frozenset[str],
    written: Sequence[OutputFile],
) -> None:
    """Fill the new folder: carried files, then written files, then modes from the inside out."""
    folders = standing | ancestors(file.path for file in written)
    for path in sorted(folders):
        (new / path).mkdir(mode=0o700, exist_ok=True)
    for path in carried:
        _carry(old / path, new / path, seen[path])
    for file in written:
        with (new / file.path).open("xb") as stream:
            stream.writelines(file.parts)
            stream.flush()
            os.fchmod(stream.fileno(), file.mode)
            os.fsync(stream.fileno())
    for path in sorted(folders, reverse=True):
        status = seen.get(path)
        if status is not None and S_ISDIR(status.st_mode):
            _dress(old / path, new / path, status)
        else:
            (new / path).chmod(MODE_FOLDER)
        _sync(new / path)
    os.utime(new)


def _carry(old: Path, new: Path, status: os.stat_result) -> None:
    """Bring a file, link or pipe into the new tree unchanged, by a hard link or as a copy."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError as fault:
        if fault.errno not in _NO_HARD_LINKS:
            raise
        shutil.copyfile(old, new, follow_symlinks=False)
        _dress(old, new, status)
        if S_ISREG(status.st_mode):
            _sync(new)


def _dress(old: Path, new: Path, status: os.stat_result) -> None:
    """Copy owner, mode, times and extended attributes from the old file to the new file."""
    made = new.lstat()
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        os.chown(new, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(old, new, follow_symlinks=False)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def swapped_at_once(one: Path, other: Path) -> bool:
    """Swap the names of two folders atomically; False if the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(number, os.strerror(number))


def swap_in_three_steps(new: Path, target: Path) -> None:
    """Swap through a third name, which `clear_leftovers` knows; a failure restores the target."""
    aside = target.with_name(_prefix(target, "old") + new.name.removeprefix(_prefix(target, "new")))
    target.rename(aside)
    try:
        new.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    aside.rename(new)
