"""The mathematics needs no other package, at run time too: the installation stays small."""

from __future__ import annotations

import ast
import sys

from places import ROOT

ALLOWED = {"policycompiler.runs"}


def imported(source: str):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_sizing_imports_the_standard_library_and_run_times_only():
    files = list((ROOT / "policycompiler" / "sizing").rglob("*.py"))
    assert len(files) > 2
    for path in files:
        for name in imported(path.read_text("utf-8")):
            own = name.startswith("policycompiler.sizing") or name in ALLOWED
            assert own or name.partition(".")[0] in sys.stdlib_module_names, (path, name)
