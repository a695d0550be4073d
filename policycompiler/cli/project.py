"""Defaults of the command line: policycompiler.toml, or `[tool.policycompiler]` of pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

import click

from policycompiler import load
from policycompiler.emitters import TARGETS

FILES = ("policycompiler.toml", "pyproject.toml")
KEYS = {"sources": list, "policy": str, "baseline": str, "env": str, "output": str, "targets": list}


class Project(NamedTuple):
    """Defaults of the command line; paths are relative to the folder of the file that names them."""

    sources: tuple[Path, ...] = ()
    policy: Path | None = None
    baseline: Path | None = None
    env: str | None = None
    output: Path = Path("build")
    targets: tuple[str, ...] = ()


def read_project() -> Project:
    """The defaults of the project in the current folder. A file that cannot be read is a usage error."""
    for name in FILES:
        path = Path(name)
        if path.is_file():
            table = _table(path)
            if table is not None:
                return _project(table, name)
    return Project()


def _table(path: Path) -> dict[str, object] | None:
    try:
        document = tomllib.loads(load.read_bounded(path, load.LARGEST_FILE_BYTES).decode())
    except RecursionError:
        message = f"{path}: nested too deeply"
        raise click.UsageError(message) from None
    except (OSError, ValueError) as problem:
        message = f"{path}: {problem}"
        raise click.UsageError(message) from None
    if path.name == "pyproject.toml":
        tool = document.get("tool", {})
        found = tool.get("policycompiler") if isinstance(tool, dict) else None
        if found is not None and not isinstance(found, dict):
            raise click.UsageError("pyproject.toml: `tool.policycompiler` must be a table")
        return found
    return document


def _project(table: dict[str, object], name: str) -> Project:
    for key, value in table.items():
        kind = KEYS.get(key)
        if kind is None:
            message = f"{name}: unknown key `{key}`; allowed: {', '.join(KEYS)}"
            raise click.UsageError(message)
        if not isinstance(value, kind) or (
            isinstance(value, list) and not all(isinstance(v, str) for v in value)
        ):
            message = f"{name}: `{key}` must be {'a list of strings' if kind is list else 'a string'}"
            raise click.UsageError(message)
    sources, targets = table.get("sources", []), table.get("targets", [])
    assert isinstance(sources, list)
    assert isinstance(targets, list)
    if unknown := sorted(set(targets) - set(TARGETS)):
        message = f"{name}: unknown target `{unknown[0]}`; allowed: {', '.join(TARGETS)}"
        raise click.UsageError(message)
    env = table.get("env")
    return Project(
        tuple(Path(source) for source in sources),
        Path(str(table["policy"])) if "policy" in table else None,
        Path(str(table["baseline"])) if "baseline" in table else None,
        env if isinstance(env, str) else None,
        Path(str(table.get("output", "build"))),
        tuple(targets),
    )
