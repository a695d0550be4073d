"""`.ci/brokers` with a debootstrap that only notes what it does: what it makes, keeps, and leaves alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from places import ROOT
from tools import needs

MARK = "policycompiler-packages"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can unpack another release")


class Script(NamedTuple):
    """The script, whose `debootstrap` is a shell script of the test."""

    folder: Path
    programs: Path

    def run(self, debootstrap: str = 'mkdir "$4/usr"') -> subprocess.CompletedProcess[str]:
        """What it says; the folder to fill is the fourth argument of debootstrap."""
        program = self.programs / "debootstrap"
        program.write_text(f'#!/bin/sh\necho "$@" >> {self.programs}/calls\n{debootstrap}\n')
        program.chmod(0o755)
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "POLICYCOMPILER_BROKERS": str(self.folder),
        }
        return subprocess.run(
            [ROOT / ".ci" / "brokers"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> int:
        """How often debootstrap was called."""
        return len((self.programs / "calls").read_text().splitlines())

    @property
    def root(self) -> Path:
        """Where the programs are when it is done."""
        return self.folder / "trixie"


@pytest.fixture
def script(tmp_path) -> Script:
    for tool in ("apt-get", "unshare", "flock"):
        needs(tool)
    (tmp_path / "bin").mkdir()
    return Script(tmp_path / "brokers", tmp_path / "bin")


def test_a_root_is_made_once(script):
    first, second = script.run(), script.run("exit 1")
    assert [(done.returncode, done.stdout) for done in (first, second)] == [(0, f"{script.root}\n")] * 2
    assert script.calls() == 1
    assert sorted(path.name for path in script.root.iterdir()) == [MARK, "usr"]


def test_a_root_of_other_packages_is_made_again(script):
    script.run()
    (script.root / MARK).write_text("fewer\n")
    (script.root / "old").touch()
    assert script.run().returncode == 0
    assert script.calls() == 2
    assert not (script.root / "old").exists()


def test_a_failure_is_told_and_leaves_nothing(script):
    done = script.run("echo no such archive; exit 1")
    assert done.returncode == 1
    assert "no such archive" in done.stderr
    assert sorted(path.name for path in script.folder.iterdir()) == ["lock", "log"]


def test_what_a_killed_run_left_is_removed(script):
    killed = script.run('touch "$4/half"; kill -9 $PPID $$')
    part = script.folder / "trixie.part"
    assert killed.returncode != 0
    assert (part / "half").exists()
    assert script.run().returncode == 0
    assert not part.exists()
    assert not (script.root / "half").exists()


@pytest.mark.parametrize("name", ["trixie", "trixie.part"])
def test_what_the_script_did_not_make_is_left_alone(script, name):
    theirs = script.folder / name / "theirs"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    done = script.run()
    assert done.returncode == 1
    assert f"{theirs.parent} was not made by this script" in done.stderr
    assert theirs.exists()
