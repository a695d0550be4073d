"""`policycompiler init`: a commented starter workload."""

from __future__ import annotations

from pathlib import Path

import click

from policycompiler.emitters.base import shipped

STARTER = "workload.yaml"


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
def init(folder: Path) -> None:
    """Write a commented starter workload that compiles cleanly; never over an existing file."""
    path = folder / STARTER
    text = (shipped("templates") / "init" / STARTER).read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = f"{path} is there already; nothing was written"
        raise click.UsageError(message) from None
    except OSError as problem:
        message = f"{path}: {problem.strerror}"
        raise click.UsageError(message) from None
    click.echo(f"wrote {path}; next: policycompiler compile {path}")
