"""The only package that touches the output folder: compares it with the compiled files, and writes it.

A write builds the complete new folder next to the old one and swaps the two names. A kill at any moment
leaves the old tree or the new tree. The manifest in the folder lists the compiled files. All other files are
kept unchanged: files as hard links, and links are never followed.

A process whose working folder is the output folder stays in the old folder, which is then deleted. Some
systems cannot swap two names atomically. There, a kill may leave the old tree under a name that the next
write restores. Writes into folders of the same parent wait for each other, with a lock on the parent that
leaves no file.

Because:
    The next compile would overwrite a manual change in the folder, and an incident that the change fixed
    would return. A file that no compile wrote may be the only copy.

Refuses:
    PC901 edited-by-hand: change the workload and compile again; `--force` overwrites the edit.
        when: a file of an earlier compile was changed or replaced.
    PC902 not-ours: move the file away, or choose another folder; `--force` overwrites a file.
        when: a file, folder or link that no compile wrote has the path of a compiled file or folder.
    PC903 unwritable-output: fix the space or the permissions that the message names.
        when: the folder cannot be read, created or written, or another compile locks it for too long.
    PC904 unreadable-manifest: restore `manifest.json`, or overwrite the compiled files with `--force`.
        when: the manifest of the folder is damaged, so it is unknown which files a compile wrote.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import Literal, NamedTuple

from policycompiler.diagnostics import Diagnostic, Place, fatal
from policycompiler.emitters.base import MODE_FILE, OutputFile, json_text
from policycompiler.output import tree

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1

EDITED_BY_HAND = fatal("PC901", "edited-by-hand")
NOT_OURS = fatal("PC902", "not-ours")
UNWRITABLE_OUTPUT = fatal("PC903", "unwritable-output")
UNREADABLE_MANIFEST = fatal("PC904", "unreadable-manifest")


Difference = Literal["stale", "missing", "orphaned", "edited", "foreign"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between the folder and the compiled files, and what prevents a write.

    A `stale` file is unchanged since the last compile, but its text or mode is outdated. An `orphaned` file
    is no longer compiled. An `edited` file was changed after a compile. A `foreign` file or folder, which no
    compile wrote, has the path of a compiled file or folder.
    """

    differences: Mapping[str, Difference]
    problems: tuple[Diagnostic, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether a write would change nothing."""
        return not self.differences and not self.problems


class _View(NamedTuple):
    """The folder on disk, compared with the wanted files.

    `folder` is the path without links. `seen` has everything by relative path, with the folder as `.`.
    `compared` has the regular files that are ours or wanted. A write keeps the files in `carried` and the
    folders in `standing`.
    """

    folder: Path
    seen: Mapping[str, os.stat_result]
    compared: frozenset[str]
    differences: Mapping[str, Difference]
    carried: frozenset[str]
    standing: frozenset[str]
    manifest_fault: str


def manifest_file(files: Iterable[OutputFile], sources: Mapping[str, str], version: str) -> OutputFile:
    """The manifest of these files; `sources` maps each source's name to its sha256."""
    manifest = {
        "format": MANIFEST_FORMAT,
        "version": version,
        "sources": dict(sources),
        "files": {file.path: _sha256(*file.parts) for file in files},
    }
    return OutputFile(MANIFEST, json_text(manifest), MODE_FILE, frozenset())


def compare(folder: Path, files: Sequence[OutputFile]) -> Comparison:
    """Compare the folder with the files and the manifest; `problems` are those of a write without force."""
    wanted = _by_path(files)
    try:
        view = _look(_real_folder(folder), wanted)
    except OSError as fault:
        return _unwritable(folder, fault)
    return Comparison(view.differences, tuple(_problems(folder, view, force=False)))


def unified_diff(folder: Path, files: Sequence[OutputFile]) -> str:
    """The changes of a write as a patch for `git apply`; empty for a folder that `compare` cannot read."""
    wanted = _by_path(files)
    try:
        view = _look(_real_folder(folder), wanted)
        shown = [path for path in view.differences if path in wanted or path in view.compared]
        return "".join([_file_diff(path, view, wanted.get(path)) for path in shown])
    except OSError:
        return ""


def write(folder: Path, files: Sequence[OutputFile], *, force: bool = False) -> Comparison:
    """Write these files, including the manifest, into the folder, and return the differences.

    With `problems` in the result nothing was written. `force` overwrites edited files, files that no compile
    wrote, and an unreadable manifest. It never deletes a folder that no compile wrote.
    """
    wanted = _by_path(files)
    try:
        target = _real_folder(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tree.locked(target.parent):
            tree.clear_leftovers(target)
            view = _look(target, wanted)
            comparison = Comparison(view.differences, tuple(_problems(folder, view, force=force)))
            if view.differences and not comparison.problems:
                written = [wanted[path] for path in view.differences if path in wanted]
                tree.replace(target, view.seen, view.carried, view.standing, written)
            return comparison
    except OSError as fault:
        return _unwritable(folder, fault)


def _by_path(files: Sequence[OutputFile]) -> dict[str, OutputFile]:
    """The files by path, including the manifest; a ValueError for paths that cannot be in one folder."""
    wanted = {file.path: file for file in files}
    names = [*(file.path for file in files), *tree.ancestors(wanted)]
    if len({name.casefold() for name in names}) < len(names):
        message = f"output paths differ only in case, or are both files and folders: {sorted(names)}"
        raise ValueError(message)
    if outside := [path for path in wanted if not _is_inside(path)]:
        message = f"output paths are not plain and relative: {outside}"
        raise ValueError(message)
    if MANIFEST not in wanted:
        raise ValueError("the output files have no manifest")
    return wanted


def _is_inside(path: str) -> bool:
    """Whether a path is below the folder, in canonical form."""
    pure = PurePosixPath(path)
    return (
        path.isprintable() and path == str(pure) != "." and not pure.is_absolute() and ".." not in pure.parts
    )


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _holds(stream: io.BufferedReader, parts: Iterable[bytes]) -> bool:
    """Whether a file consists of these parts, without reading a large file into memory twice."""
    return all(stream.read(len(part)) == part for part in parts) and not stream.read(1)


def _real_folder(folder: Path) -> Path:
    """The folder without links; an OSError for a folder that a compile must not replace."""
    real = Path(os.path.realpath(folder))
    # Path.home() raises for a user without a home; this returns a name that does not exist.
    home = Path(os.path.realpath(os.path.expanduser("~")))  # noqa: PTH111
    for precious, name in ((Path.cwd(), "current"), (home, "home")):
        if precious.is_relative_to(real):
            raise OSError(errno.EBUSY, f"it is the {name} folder or contains it")
    if real.exists() and not real.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file")
    return real


def _unwritable(folder: Path, fault: OSError) -> Comparison:
    message = f"cannot use the output folder {folder}: {fault.strerror or fault}"
    advice = "choose a folder that you may replace with `-o DIR`, or change its permissions"
    if fault.errno == errno.EAGAIN:
        advice = "compile again"
    place = Place(str(folder), 1, 1)
    return Comparison({}, (UNWRITABLE_OUTPUT.at((), message, help=advice, place=place),))


def _look(folder: Path, wanted: Mapping[str, OutputFile]) -> _View:
    seen = tree.survey(folder)
    owned, fault = _owned(folder, seen)
    regular = {path for path, status in seen.items() if S_ISREG(status.st_mode)}
    compared = frozenset(regular & (owned.keys() | wanted.keys()))
    differences: dict[str, Difference] = {}
    for path in compared:
        with (folder / path).open("rb") as stream:
            if found := _difference(stream, seen[path].st_mode, owned.get(path), wanted.get(path)):
                differences[path] = found
    folders = {path for path, status in seen.items() if S_ISDIR(status.st_mode)}
    leaves = seen.keys() - folders - (compared - wanted.keys())
    kept = folders - tree.ancestors(owned)
    standing = kept | tree.ancestors(kept | leaves)
    for path in wanted.keys() - compared:
        differences.setdefault(path, "missing")
        blocking = {path} & standing or {path, *tree.ancestors([path])} & leaves
        differences.update(dict.fromkeys(blocking, "foreign"))
    ordered = dict(sorted(differences.items()))
    return _View(
        folder, seen, compared, ordered, frozenset(leaves - ordered.keys()), frozenset(standing), fault
    )


def _owned(folder: Path, seen: Mapping[str, os.stat_result]) -> tuple[dict[str, str], str]:
    """The sha256 of each file in the manifest, and of the manifest; or the problem with the manifest."""
    if MANIFEST not in seen or not S_ISREG(seen[MANIFEST].st_mode):
        return {}, ""
    data = (folder / MANIFEST).read_bytes()
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return {}, "it is not JSON"
    match manifest:
        case {"format": format_, "files": dict(files)} if format_ == MANIFEST_FORMAT and all(
            isinstance(digest, str) for digest in files.values()
        ):
            if outside := sorted(path for path in files if not _is_inside(path)):
                return {}, f"it lists {outside[0]!r}, which is not a path inside the folder"
            return {**files, MANIFEST: _sha256(data)}, ""
    return {}, f"it is not a manifest of format {MANIFEST_FORMAT}"


def _difference(
    stream: io.BufferedReader, mode: int, written: str | None, file: OutputFile | None
) -> Difference | None:
    """How a regular file on disk differs, by its bytes, its hash in the manifest and the wanted file."""
    if file is not None and _holds(stream, file.parts):
        return "stale" if _drifted(mode, file.mode) else None
    if written is None:
        return "foreign"
    stream.seek(0)
    if written != hashlib.file_digest(stream, "sha256").hexdigest():
        return "edited"
    return "orphaned" if file is None else "stale"


def _drifted(mode: int, wanted: int) -> bool:
    """Whether a mode differs in being executable or private. A different umask does not count."""
    private = not wanted & 0o077
    return bool((mode ^ wanted) & 0o100) or (private and bool(mode & 0o077))


def _problems(folder: Path, view: _View, *, force: bool) -> Iterator[Diagnostic]:
    """What prevents a write. An unreadable manifest makes every file foreign, so it is reported alone."""
    if view.manifest_fault and not force:
        place = Place(str(folder / MANIFEST), 1, 1)
        message = f"{place.file} does not list the compiled files: {view.manifest_fault}"
        advice = "restore it, or overwrite the compiled files with `--force`, which keeps orphaned files"
        yield UNREADABLE_MANIFEST.at((), message, help=advice, place=place)
        return
    for path, difference in view.differences.items():
        place = Place(str(folder / path), 1, 1)
        if difference == "edited" and not force:
            message = f"{place.file} was edited by hand after the last compile"
            advice = "change the workload instead, or overwrite the edit with `--force`"
            yield EDITED_BY_HAND.at((), message, help=advice, place=place)
        elif difference == "foreign" and (path in view.standing or not force):
            message = f"no compile wrote {place.file}, which has the path of a compiled file or folder"
            advice = "move it away, or choose another folder with `-o DIR`"
            if path not in view.standing:
                advice += ", or overwrite it with `--force`"
            yield NOT_OURS.at((), message, help=advice, place=place)


def _file_diff(path: str, view: _View, file: OutputFile | None) -> str:
    """The diff of one file with a git header, which also shows modes, empty files and binary files."""
    data = (view.folder / path).read_bytes() if path in view.compared else None
    header = f"diff --git a/{path} b/{path}\n"
    before = "/dev/null" if data is None else f"a/{path}"
    after = "/dev/null" if file is None else f"b/{path}"
    if data is None and file is not None:
        header += f"new file mode 100{file.mode:03o}\n"
    elif file is None:
        header += f"deleted file mode 100{S_IMODE(view.seen[path].st_mode):03o}\n"
    elif _drifted(mode := S_IMODE(view.seen[path].st_mode), file.mode):
        header += f"old mode 100{mode:03o}\nnew mode 100{file.mode:03o}\n"
    try:
        old_text = (data or b"").decode()
    except UnicodeDecodeError:
        return f"{header}Binary files {before} and {after} differ\n"
    old, new = io.StringIO(old_text).readlines(), io.StringIO(file.text if file else "").readlines()
    lines = difflib.unified_diff(old, new, before, after)
    return header + "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
