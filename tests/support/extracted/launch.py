"""The processes of launch scripts, seen by a program that stands for Celery."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tools import stand_in

from extracted import Process
from extracted.words import process

_OF_THE_SHELL = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"})


def processes(folder: Path, variables: dict[str, str], aside: Path) -> list[Process]:
    """The workers and beat; a script says nothing about replicas, stops and memory."""
    found = []
    for script in sorted(folder.glob("*.sh")):
        place = aside / script.stem
        place.mkdir()
        celery = stand_in(place)
        given = {**variables, "PATH": f"{celery.folder}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(["sh", str(script)], env=given, check=True, timeout=30)
        (start,) = celery.starts()
        own = {
            key: value
            for key, value in start.environment.items()
            if given.get(key) != value and key not in _OF_THE_SHELL
        }
        found.append(
            process(
                start.arguments,
                name=script.stem,
                replicas=1,
                grace_seconds=None,
                memory_bytes=None,
                environment=own,
            )
        )
    return sorted(found, key=lambda each: (each.kind, each.worker))
