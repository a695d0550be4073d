"""Programs of Debian 13 beside those of the machine: `.ci/brokers` unpacks them in a root of their own."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

import pytest

RELEASE = "trixie"
# What `.ci/brokers` writes last, with the names of the packages.
MARK = "policycompiler-packages"
# The new /usr covers the old one for this command and its children alone. The kernel takes the mount away with
# the last of them, so there is nothing to clean up, however a test ends; and every other path stays the same.
COVERED = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr && exec "$@"')


def newer(*command: str) -> list[str]:
    """A command with the programs of Debian 13; without them the test is skipped, but fails where `CI` is `true`."""
    if problem := _problem():
        pytest.fail(problem) if os.environ.get("CI") == "true" else pytest.skip(problem)
    return [*COVERED, str(_root() / "usr"), *command]


def of_sqs(program: str) -> str:
    """A program of the environment of `.ci/sqs`; without it the same."""
    return _of("sqs", program)


def of_exporters(program: str) -> str:
    """A program of the environment of `.ci/exporters`; without it the same."""
    return _of("exporters", program)


def _of(environment: str, program: str) -> str:
    root = _root().with_name(environment)
    if not (root / MARK).is_file() or not (root / MARK).read_text():
        problem = f"no environment of `.ci/{environment}` in {root}: run `make brokers`"
        pytest.fail(problem) if os.environ.get("CI") == "true" else pytest.skip(problem)
    return str(root / "bin" / program)


def _root() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("POLICYCOMPILER_BROKERS") or cache / "policycompiler-brokers") / RELEASE


@functools.cache
def _problem() -> str:
    if not (_root() / MARK).is_file():
        return f"no programs of Debian 13 in {_root()}: run `make brokers`"
    asked = [*COVERED, str(_root() / "usr"), "true"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    return f"the programs of Debian 13 do not start here: {done.stderr.strip()}" if done.returncode else ""
