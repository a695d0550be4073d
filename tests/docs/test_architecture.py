"""docs/architecture.md and CONTRIBUTING.md say where things are, and they are there."""

from __future__ import annotations

import re
import tomllib

import pytest
from places import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
NEW = {"crontab", "gcpubsub"}
"""What the how-tos make."""


def test_the_layers_of_the_page_are_those_of_the_contract():
    drawn = PAGE.partition("```text layers\n")[2].partition("```")[0].splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    assert drawn == contract["layers"]


def test_every_package_is_explained():
    packages = PAGE.partition("## The packages")[2].partition("\n## ")[0]
    folders = [path.name for path in (ROOT / "policycompiler").iterdir() if (path / "__init__.py").is_file()]
    assert [name for name in folders if f"`{name}/`" not in packages] == []


def named() -> list[str]:
    """Every file or folder of the program that a page names."""
    words = re.findall(r"`([\w./*-]+(?:\.py|\.json|/))`", PAGE + CONTRIBUTING)
    return sorted({word for word in words if not any(new in word for new in NEW)})


@pytest.mark.parametrize("path", named())
def test_a_file_that_is_named_exists(path):
    assert any((root / path).exists() for root in (ROOT, ROOT / "policycompiler")), path


def test_every_make_target_that_is_named_exists():
    targets = re.findall(r"(?m)^([a-z-]+):", MAKEFILE)
    assert set(re.findall(r"\bmake ([a-z-]+)", PAGE + CONTRIBUTING)) <= set(targets)
