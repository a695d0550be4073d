"""`policycompiler init`: the first files of a project."""

from __future__ import annotations

from pathlib import Path

import click

from policycompiler.emitters.base import shipped

FILES = ("workload.yaml", "policy.yaml", "policycompiler.toml")
SCHEMAS = ("workload.schema.json", "policy.schema.json")
SCHEMA_FOLDER = ".policycompiler"
"""The first line of the workload and of the policy file names this folder for their schemas."""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
def init(folder: Path) -> None:
    """Write a starter workload, policy file and project file that compile without findings.

    Existing files are never overwritten. The JSON Schemas go to the folder `.policycompiler`, where editors
    find them.

    \b
    Example:
      policycompiler init shop
    """
    paths = [folder / name for name in FILES]
    texts = {path: shipped("templates") / "init" / path.name for path in paths}
    texts |= {folder / SCHEMA_FOLDER / name: shipped("schemas") / name for name in SCHEMAS}
    if there := [path for path in texts if path.exists() or path.is_symlink()]:
        message = f"{there[0]} exists already; nothing was written"
        raise click.UsageError(message)
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text.read_text(encoding="utf-8"))
        except OSError as problem:
            message = f"{path}: {problem.strerror}"
            raise click.UsageError(message) from None
    first = "" if folder == Path() else f"cd {folder}; "
    click.echo(f"wrote {', '.join(str(path) for path in paths)}; next: {first}policycompiler compile")
