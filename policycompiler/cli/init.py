"""`policycompiler init`: what a project begins with."""

from __future__ import annotations

from pathlib import Path

import click

from policycompiler.emitters.base import shipped

FILES = ("workload.yaml", "policy.yaml", "policycompiler.toml")


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
def init(folder: Path) -> None:
    """Write a starter workload, policy file and project file that compile cleanly; never over others."""
    paths = [folder / name for name in FILES]
    if there := [path for path in paths if path.exists() or path.is_symlink()]:
        message = f"{there[0]} is there already; nothing was written"
        raise click.UsageError(message)
    for path in paths:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write((shipped("templates") / "init" / path.name).read_text(encoding="utf-8"))
        except OSError as problem:
            message = f"{path}: {problem.strerror}"
            raise click.UsageError(message) from None
    first = "" if folder == Path() else f"cd {folder}; "
    click.echo(f"wrote {', '.join(str(path) for path in paths)}; next: {first}policycompiler compile")
