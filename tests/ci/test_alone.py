"""`.ci/alone`: what failed beside other tests runs again alone, and only an accident passes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

PASSES_THE_SECOND_TIME = """\
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_flaky(number):
    seen = Path(f"seen-{{number}}")
    again = seen.exists()
    seen.touch()
    assert again

def test_passes(): Path("passed").write_text(Path("passed").read_text() + "x" if Path("passed").exists() else "x")
"""
FAILS = "def test_fails(): assert False\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "alone", tmp_path / ".ci")
    return tmp_path


def run(project: Path, text: str) -> tuple[int, subprocess.CompletedProcess[str]]:
    """The exit code of all tests, and what their repetition says."""
    (project / "test_it.py").write_text(text)
    pytest_alone = (sys.executable, "-m", "pytest")
    first = subprocess.run(pytest_alone, cwd=project, capture_output=True, text=True, check=False)
    again = subprocess.run(
        [".ci/alone", *pytest_alone],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
    )
    return first.returncode, again


def test_an_accident_passes_and_is_named(project: Path) -> None:
    first, again = run(project, PASSES_THE_SECOND_TIME.format(count=3))
    assert (first, again.returncode) == (1, 0), again.stdout + again.stderr
    named = again.stdout.split("Look into each:\n")[1].split()
    assert sorted(named) == [f"test_it.py::test_flaky[{number}]" for number in range(3)]
    assert (project / "passed").read_text() == "x"


def test_a_failure_stays_one(project: Path) -> None:
    first, again = run(project, FAILS + PASSES_THE_SECOND_TIME.format(count=1))
    assert (first, again.returncode) == (1, 1), again.stdout + again.stderr
    assert "Look into each" not in again.stdout


def test_many_failures_are_not_run_again(project: Path) -> None:
    first, again = run(project, PASSES_THE_SECOND_TIME.format(count=4))
    assert (first, again.returncode) == (1, 1)
    assert "4 failures are not run again" in again.stderr


def test_a_run_that_says_nothing_fails(project: Path) -> None:
    again = subprocess.run([".ci/alone", "true"], cwd=project, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "without saying what failed" in again.stderr
