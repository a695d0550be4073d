"""What happens to a test whose tool is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tools import needs


def test_a_tool_beside_python_or_on_the_path_is_found():
    assert Path(needs(Path(sys.executable).name)).samefile(sys.executable)
    assert os.access(needs("sh"), os.X_OK)


def test_a_missing_tool_skips_the_test(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        needs("no-such-tool")


def test_a_missing_tool_fails_the_test_in_continuous_integration(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        needs("no-such-tool")
