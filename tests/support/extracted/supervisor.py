"""The processes of programs, read by supervisor's own reader."""

from __future__ import annotations

import shlex
from pathlib import Path

from supervisor.options import ServerOptions

from extracted import Process
from extracted.words import process


def processes(folder: Path, service: str, aside: Path) -> list[Process]:
    """The workers and beat of all files; replicas are added up over the hosts. `aside` is a folder to write to."""
    found: dict[str, Process] = {}
    for conf in sorted(folder.rglob("*.conf")):
        for config in _configs(conf, aside):
            name = config.name.rpartition("_")[0].removeprefix(f"{service}-")
            # Only the first process has the node name that other targets show.
            each = process(
                shlex.split(config.command),
                name=name,
                replicas=1 + (found[name].replicas if name in found else 0),
                grace_seconds=config.stopwaitsecs,
                memory_bytes=None,
                environment=config.environment or {},
            )
            first = found.get(name, each)
            found[name] = Process(**{**vars(first), "replicas": each.replicas})
    return sorted(found.values(), key=lambda each: (each.kind, each.worker))


def _configs(conf: Path, aside: Path) -> list:
    main = aside / "supervisord.conf"
    main.write_text(
        f"[supervisord]\nlogfile={aside}/log\npidfile={aside}/pid\nchildlogdir={aside}\n[include]\nfiles={conf}\n",
        "utf-8",
    )
    options = ServerOptions()
    options.realize(["-c", str(main)])
    return [each for group in options.process_group_configs for each in group.process_configs]
