"""What git says about the repository that the current folder is in."""

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

MOST_BYTES = 256 * 1024 * 1024
"""Of all files of a revision together; a workload of twenty thousand tasks has a few."""

_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_STEPS_BACK = re.compile(r"[~^@]")
_CHUNK_BYTES = 1024 * 1024


class RevisionError(Exception):
    """A revision that cannot be read: what was found and what to do. It may quote what git said."""


class Repository(NamedTuple):
    """Where its working folder begins, and whether its history has been cut off; both folders are real."""

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
    # None begins with a hyphen; an option would.
    if not revision or revision.startswith("-") or "\0" in revision:
        message = f"`{revision}` is no revision; write `git:REV` or `git:REV:PATH`, such as `git:HEAD~1`"
        raise RevisionError(message)
    found, complaint = _resolved(revision)
    if found:
        return found
    message = f"there is no revision `{revision}` in this repository"
    if complaint:
        message += f" (git: {complaint})"
    if repository.shallow:
        message += f", whose history was cut off by a shallow clone; {_how_to_fetch(revision)}"
        raise RevisionError(message)
    empty, alone = not git("rev-list", "--all", "--max-count=1"), not git("remote")
    if empty:
        message += ", which has no commit yet"
    if not alone:
        message += "; `git fetch --all --tags` brings what others have pushed"
    else:
        message += "; name files instead" if empty else "; `git branch --all` and `git tag` list them"
    raise RevisionError(message)


def _resolved(revision: str) -> tuple[str, str]:
    """The tree of a revision, or what git says."""
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    done = _run(*verify)
    return (done.stdout.decode().strip(), "") if done.returncode == 0 else ("", _said(done.stderr))


def _how_to_fetch(revision: str) -> str:
    """The command that brings a revision into a shallow clone."""
    start = _STEPS_BACK.split(revision)[0]
    if start != revision and (start in {"", "HEAD"} or _resolved(start)[0]):
        return "`git fetch --deepen=50` fetches more of it"
    if _FULL_HASH.fullmatch(start):
        return f"`git fetch --depth=1 origin {start}` fetches it"
    remote, _, branch = start.partition("/")
    if branch and remote in git("remote").splitlines():
        # A shallow clone follows one branch only: without its second half this would leave no name behind.
        wanted = shlex.quote(f"{branch}:refs/remotes/{remote}/{branch}")
        return f"`git fetch --depth=1 {shlex.quote(remote)} {wanted}` fetches it"
    everything = "'+refs/heads/*:refs/remotes/origin/*'"
    return f"`git fetch --unshallow --tags origin {everything}` fetches all; a branch is then `origin/NAME`"


def git(*arguments: str) -> str:
    """What git prints; a `RevisionError` with what it says when it fails."""
    done = _run(*arguments)
    if done.returncode == 0:
        return os.fsdecode(done.stdout)
    said = _said(done.stderr)
    if "not a git repository" in said:
        raise RevisionError("this folder is in no git repository; run it in one, or name files instead")
    if "must be run in a work tree" in said:
        checkout = "run it in a checkout, which `git worktree add DIR REV` makes, or name files instead"
        message = f"this folder of git's own has no files to compare; {checkout}"
        raise RevisionError(message)
    if "dubious ownership" in said:
        advice = "`git config --global --add safe.directory DIR` allows it"
        message = f"git does not read the repository of another user; {advice}"
        raise RevisionError(message)
    message = f"git {arguments[0]} failed: {said or f'exit code {done.returncode}'}"
    raise RevisionError(message)


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell; what a user gave is never an option
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_environment()
        )
    except FileNotFoundError:
        raise RevisionError("git is not installed, or not on PATH") from None
    except OSError as problem:
        message = f"git cannot be started: {problem.strerror}"
        raise RevisionError(message) from None


def _environment() -> dict[str, str]:
    """Messages as we know them, paths as they are, and nothing that waits for somebody at a keyboard."""
    return {**os.environ, "LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0"}


def _said(complaint: bytes) -> str:
    """The first line of what git complains about."""
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
                    # It may be writing what nobody will read.
                    process.stdout.close()
                    process.wait()
                    complaints.seek(0)
                    said = _said(complaints.read()) or "its object is missing"
                    message = f"git cannot read `{path}`: {said}"
                    raise RevisionError(message)
                left -= int(header[2])
                if left < 0:
                    message = f"its workload files have more than {MOST_BYTES} bytes; name fewer of them"
                    raise RevisionError(message)
                target = top / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    _copy(process.stdout, file, int(header[2]))
                process.stdout.read(1)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """Copy as much as tells a reader that it is too much, and skip the rest."""
    kept = LARGEST_FILE_BYTES + 1
    while size > 0:
        chunk = source.read(min(size, _CHUNK_BYTES))
        if not chunk:
            raise RevisionError("git ended in the middle of a file")
        target.write(chunk[: max(kept, 0)])
        kept -= len(chunk)
        size -= len(chunk)
