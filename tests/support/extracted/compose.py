"""The processes of `compose.yaml`, read by the real Compose."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from tools import needs

from extracted import Process
from extracted.words import process

_OF_THE_TARGET = frozenset({"PYTHONPATH", "CELERY_ALIVE_FILE"})
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def processes(build: Path, variables: dict[str, str]) -> list[Process]:
    """The workers and beat; the environment file is empty here."""
    for name in re.findall(r"\./([\w-]+\.env)", (build / "compose.yaml").read_text("utf-8")):
        (build / name).touch()
    done = subprocess.run(
        [needs("docker-compose"), "-f", "compose.yaml", "config", "--format", "json"],
        cwd=build,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    services = json.loads(done.stdout)["services"]
    found = [
        _process(name, service)
        for name, service in services.items()
        if name == "beat" or name.startswith("worker-")
    ]
    return sorted(found, key=lambda each: (each.kind, each.worker))


def _process(name: str, service: dict) -> Process:
    limits = service["deploy"].get("resources", {}).get("limits", {})
    return process(
        [_plain(word) for word in service["command"]],
        name=name.removeprefix("worker-"),
        replicas=service["deploy"]["replicas"],
        grace_seconds=_seconds(service["stop_grace_period"]),
        memory_bytes=int(limits["memory"]) if "memory" in limits else None,
        environment={
            key: _plain(value) for key, value in service["environment"].items() if key not in _OF_THE_TARGET
        },
    )


def _plain(text: str) -> str:
    """Compose prints a `$` twice."""
    return text.replace("$$", "$")


def _seconds(text: str) -> int:
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([hms])", text))
