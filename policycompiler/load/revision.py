"""The sources of a git revision, without a checkout.

Because:
    An earlier commit is usually deployed. A comparison with it should not change the working folder or need a
    second one, and git's objects have the text.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from policycompiler.load.files import COMPILED
from policycompiler.load.git import Repository, RevisionError, git, repository_here, tree_of, write_objects

_LINK, _SUBMODULE, _FOLDER = "120000", "160000", "040000"
_MOST_LINKS = 8
"""On the way to one file; more links count as a cycle."""


class Extract(NamedTuple):
    """Files of a revision below a temporary folder: names to compile, relative to `root`.

    A policy file outside the repository is read from its own path.
    """

    root: Path
    sources: list[Path]
    policy: Path | None


class _Entry(NamedTuple):
    mode: str
    object: str


class _Rules(NamedTuple):
    """The policy file: its path, its path in the repository if any, and its name."""

    file: Path
    path: str | None
    name: Path


@contextmanager
def at_revision(
    revision: str, sources: Iterable[Path], policy: Path | None = None, *, from_top: bool = False
) -> Iterator[Extract]:
    """Extract workload files at a revision of the current folder's repository.

    Sources are files and folders relative to the current folder, or to the repository if `from_top`. A folder
    stands for the files that `find_sources` would find below it, and a link for its target in that revision.
    The policy file is None if that revision does not have it; it is always relative to the current folder.
    Raises `RevisionError` for files that the repository does not have, including files in submodules.
    """
    repository = repository_here()
    tree = tree_of(revision, repository)
    base = repository.top if from_top else repository.here
    asked = {_inside(repository, base, name): name for name in sources}
    rules = None if policy is None else _rules(repository, base, policy)
    entries = _entries(tree, [*asked, *([rules.path] if rules and rules.path else [])])
    from_here = "" if repository.here == repository.top else f", or `git:{revision}:./PATH` from this folder"
    wanted: dict[str, _Entry] = {}
    for path, name in asked.items():
        if path and path not in entries:
            message = f"`{name.as_posix()}` at `{revision}`: there is no such file or folder; "
            message += f"if it had another path then, write `git:{revision}:PATH`{from_here}"
            raise RevisionError(message)
        wanted |= _wanted(entries, path, f"`{name.as_posix()}` at `{revision}`")
    if rules is not None and rules.path is not None:
        found = rules.path in entries
        if found:
            wanted |= _wanted(entries, rules.path, f"the policy file at `{revision}`")
        rules = rules if found else None
    links = {
        path: _led_to(tree, path, entry, revision) for path, entry in wanted.items() if entry.mode == _LINK
    }
    objects = {path: entry.object for path, entry in (*wanted.items(), *links.values()) if path not in links}
    try:
        temporary = tempfile.TemporaryDirectory(prefix="policycompiler-")
    except OSError as problem:
        raise _unwritable(revision, problem) from None
    with temporary as folder:
        # The temporary folder repeats the machine's folders, so names with `..` stay inside.
        top, root = (Path(folder, *each.parts[1:]) for each in (repository.top, base))
        try:
            # A folder without files must exist too.
            for each in (root, *(top / path for path in asked if path not in wanted)):
                each.mkdir(parents=True, exist_ok=True)
            write_objects(objects, top)
            for path, (target, _) in links.items():
                _stand_in(top / path, top / target)
            if rules is not None and rules.path is None and not rules.name.is_absolute():
                _stand_in(Path(os.path.normpath(root / rules.name)), rules.file)
        except OSError as problem:
            raise _unwritable(revision, problem) from None
        names = [_from(base, repository.top / path) for path in asked]
        yield Extract(root, names, None if rules is None else rules.name)


def _rules(repository: Repository, base: Path, policy: Path) -> _Rules:
    file = repository.here / policy
    path = _below(repository.top, file)
    if path is None and policy.is_absolute():
        return _Rules(file, path, policy)
    return _Rules(file, path, _from(base, file if path is None else repository.top / path))


def _from(base: Path, path: Path) -> Path:
    """The name of a path, relative to a folder."""
    return Path(os.path.relpath(path, base))


def _unwritable(revision: str, problem: OSError) -> RevisionError:
    return RevisionError(f"cannot write the files of `{revision}` to a temporary folder: {problem.strerror}")


def _stand_in(name: Path, real: Path) -> None:
    """Make a file readable under another name."""
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(real)


def _inside(repository: Repository, base: Path, name: Path) -> str:
    """A source as a path of the repository; its top is the empty text."""
    path = _below(repository.top, base / name)
    if path is None:
        message = f"`{name.as_posix()}` is not in this repository; name a path in it, or leave the path out"
        raise RevisionError(message)
    return path


def _below(top: Path, path: Path) -> str | None:
    # The written path first: today's links may differ from those of the revision.
    for each in (os.path.normpath(path), os.path.realpath(path)):
        if Path(each).is_relative_to(top):
            relative = Path(each).relative_to(top).as_posix()
            return "" if relative == "." else relative
    return None


def _entries(tree: str, paths: Sequence[str]) -> dict[str, _Entry]:
    """The entries of a tree at and below these paths, by path."""
    limits = [] if "" in paths else ["--", *paths]
    found: dict[str, _Entry] = {}
    for line in git("ls-tree", "-r", "-t", "-z", "--full-tree", tree, *limits).split("\0")[:-1]:
        about, _, path = line.partition("\t")
        mode, _, name = about.split(" ")
        # A tree that git did not write may contain anything.
        if not {"", ".", ".."} & set(path.split("/")):
            found[path] = _Entry(mode, name)
    return found


def _wanted(entries: Mapping[str, _Entry], path: str, called: str) -> dict[str, _Entry]:
    """The workload files at or below a path of the tree, by path; links to files are among them."""
    mode, name = entries[path] if path else (_FOLDER, "")
    if mode == _SUBMODULE:
        message = f"{called} is a submodule; name a file or folder of this repository"
        raise RevisionError(message)
    if mode != _FOLDER:
        return {path: _Entry(mode, name)}
    below = {
        each: PurePosixPath(each).relative_to(path)
        for each, entry in entries.items()
        if entry.mode != _FOLDER and (path == "" or each.startswith(f"{path}/"))
    }
    by_name = [{each.parent for each in below.values() if each.name == name} for name in COMPILED]
    compiled = set.intersection(*by_name)
    seen = {
        each: entries[each]
        for each, relative in below.items()
        if not any(part.startswith(".") for part in relative.parts) and compiled.isdisjoint(relative.parents)
    }
    for each, entry in seen.items():
        if entry.mode == _SUBMODULE:
            message = f"{called} contains the submodule `{each}`, whose files are not in this repository; "
            message += "name other files and folders"
            raise RevisionError(message)
    return {each: entry for each, entry in seen.items() if each.endswith((".yaml", ".yml"))}


def _led_to(tree: str, link: str, entry: _Entry, revision: str) -> tuple[str, _Entry]:
    """The target file of a link, in the same tree."""
    path = link
    for _ in range(_MOST_LINKS):
        leads = git("cat-file", "blob", entry.object)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), leads))
        found = None if path.startswith(("/", "../")) else _entries(tree, [path]).get(path)
        if found is not None and found.mode == _FOLDER:
            message = f"`{link}` at `{revision}` is a link to the folder `{path}`; name the folder"
            raise RevisionError(message)
        if found is None or found.mode == _SUBMODULE:
            break
        if found.mode != _LINK:
            return path, found
        entry = found
    message = f"`{link}` at `{revision}` is a link to a missing file; name other files or folders"
    raise RevisionError(message)
