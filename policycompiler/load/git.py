"""Reads the git repository of the current folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

from policycompiler.load.files import LARGEST_FILE_BYTES
from policycompiler.quantities import size

MOST_BYTES = 256 * 1024 * 1024
"""For all files of a revision together; a workload of 20,000 tasks has a few MiB."""

_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_STEPS_BACK = re.compile(r"[~^@]")
_CHUNK_BYTES = 1024 * 1024


class RevisionError(Exception):
    """A revision that cannot be read: the problem and what to do. It may quote git's message."""


class Repository(NamedTuple):
    """The top folder and the current folder, without links, and whether the clone is shallow."""

    top: Path
    here: Path
    shallow: bool


def repository_here() -> Repository:
    """The repository that the current folder is in."""
    shallow, top = git("rev-parse", "--is-shallow-repository", "--show-toplevel").split("\n", 1)
    real = Path(os.path.realpath(top.removesuffix("\n")))
    return Repository(real, Path(os.path.realpath(Path.cwd())), shallow == "true")


def tree_of(revision: str, repository: Repository) -> str:
    """The hash of a revision's tree."""
    # No revision starts with a hyphen, but an option does.
    if not revision or revision.startswith("-") or "\0" in revision:
        message = f"`{revision}` is not a revision; write `git:REV` or `git:REV:PATH`, such as `git:HEAD~1`"
        raise RevisionError(message)
    found, complaint = _resolved(revision)
    if found:
        return found
    message = f"the repository has no revision `{revision}`"
    if complaint:
        message += f" (git: {complaint})"
    if repository.shallow:
        message += f": the clone is shallow; {_how_to_fetch(revision)}"
        raise RevisionError(message)
    empty, alone = not git("rev-list", "--all", "--max-count=1"), not git("remote")
    if empty:
        message += ": it has no commits yet"
    if not alone:
        message += "; run `git fetch --all --tags` to fetch new commits"
    else:
        message += (
            "; name files instead" if empty else "; run `git branch --all` and `git tag` to list revisions"
        )
    raise RevisionError(message)


def _resolved(revision: str) -> tuple[str, str]:
    """The tree of a revision, or git's message."""
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    done = _run(*verify)
    return (done.stdout.decode().strip(), "") if done.returncode == 0 else ("", _said(done.stderr))


def _how_to_fetch(revision: str) -> str:
    """The command that fetches a revision into a shallow clone."""
    start = _STEPS_BACK.split(revision)[0]
    if start != revision and (start in {"", "HEAD"} or _resolved(start)[0]):
        return "run `git fetch --deepen=50`"
    if _FULL_HASH.fullmatch(start):
        return f"run `git fetch --depth=1 origin {start}`"
    remote, _, branch = start.partition("/")
    if branch and remote in git("remote").splitlines():
        # A shallow clone follows one branch only: without the second half, git would store no name.
        wanted = shlex.quote(f"{branch}:refs/remotes/{remote}/{branch}")
        return f"run `git fetch --depth=1 {shlex.quote(remote)} {wanted}`"
    everything = "'+refs/heads/*:refs/remotes/origin/*'"
    return f"run `git fetch --unshallow --tags origin {everything}`, and name a branch as `origin/NAME`"


def git(*arguments: str) -> str:
    """The output of git; a `RevisionError` with its message if it fails."""
    done = _run(*arguments)
    if done.returncode == 0:
        return os.fsdecode(done.stdout)
    said = _said(done.stderr)
    if "not a git repository" in said:
        raise RevisionError(
            "this folder is not in a git repository; run the command in a repository, or name files instead"
        )
    if "must be run in a work tree" in said:
        checkout = (
            "run the command in a checkout (`git worktree add DIR REV` creates one), or name files instead"
        )
        message = f"this is an internal folder of git without files to compare; {checkout}"
        raise RevisionError(message)
    if "dubious ownership" in said:
        advice = "run `git config --global --add safe.directory DIR` to allow it"
        message = f"git does not read a repository of another user; {advice}"
        raise RevisionError(message)
    message = f"git {arguments[0]} failed: {said or f'exit code {done.returncode}'}"
    raise RevisionError(message)


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell; user input is never an option
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_environment()
        )
    except FileNotFoundError:
        raise RevisionError("git is not installed, or not on PATH") from None
    except OSError as problem:
        message = f"git cannot be started: {problem.strerror}"
        raise RevisionError(message) from None


def _environment() -> dict[str, str]:
    """English messages, literal paths, and no prompt that waits for input."""
    return {**os.environ, "LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0"}


def _said(complaint: bytes) -> str:
    """The first line of git's error message."""
    lines = [line for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    grave = [found[1] for line in lines if (found := re.match(r"(?:fatal|error): (.*)", line))]
    return next(iter(grave or lines), "")


def write_objects(wanted: Mapping[str, str], top: Path) -> None:
    """Write objects as files below a folder."""
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as complaints:
        names.write("".join(f"{name}\n" for name in wanted.values()).encode())
        names.seek(0)
        command = ["git", "cat-file", "--batch"]
        with subprocess.Popen(  # noqa: S603 - nothing of it is the user's
            command, stdin=names, stdout=subprocess.PIPE, stderr=complaints, env=_environment()
        ) as process:
            assert process.stdout is not None
            left = MOST_BYTES
            for path in wanted:
                # `HASH blob SIZE`, or `HASH missing`; nothing where git has given up.
                header = process.stdout.readline().split()
                if len(header) != 3:  # noqa: PLR2004
                    # Git may still be writing.
                    process.stdout.close()
                    process.wait()
                    complaints.seek(0)
                    said = _said(complaints.read()) or "its git object is missing"
                    message = f"git cannot read `{path}`: {said}"
                    raise RevisionError(message)
                left -= int(header[2])
                if left < 0:
                    most = size(MOST_BYTES)
                    message = f"the workload files of the revision are larger than {most}; name fewer files"
                    raise RevisionError(message)
                target = top / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    _copy(process.stdout, file, int(header[2]))
                process.stdout.read(1)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """Copy one byte more than the limit, so a reader sees that the file is too large; skip the rest."""
    kept = LARGEST_FILE_BYTES + 1
    while size > 0:
        chunk = source.read(min(size, _CHUNK_BYTES))
        if not chunk:
            raise RevisionError("git ended in the middle of a file")
        target.write(chunk[: max(kept, 0)])
        kept -= len(chunk)
        size -= len(chunk)
