"""What each target says of a process, read by a parser of its own, and not by code of the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A worker or beat, as a target starts it.

    `kind` is `worker` or `beat`; `worker` is the name of the worker in the plan, empty for beat. `queues` and
    `node_name` are those of the command: with the first number of a process, and `%h` for its host.
    `concurrency` is None if the command has none. `replicas` is the number of processes, or a pair of bounds
    if the platform scales them. `grace_seconds` is how long a stop waits. `memory_bytes` is the limit of
    memory, None without one. `environment` are the variables without those of the target itself.
    """

    kind: str
    worker: str
    queues: tuple[str, ...]
    node_name: str
    pool: str
    concurrency: str | None
    replicas: int | tuple[int, int]
    grace_seconds: int | None
    memory_bytes: int | None
    environment: Mapping[str, str]
