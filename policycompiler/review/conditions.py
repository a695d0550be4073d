"""The typed parts of a rollout step: what its waits look for, and what its actions change in the broker.

Each has a `kind` for machines and the values that it needs, and says in words what it is. `plan` is a folder,
relative to the output folder, with the `plan.json` whose broker, bindings and transport options apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from policycompiler.quantities import duration

_MOST_TOLD = 8


@dataclass(frozen=True, kw_only=True)
class Drained:
    """No message of these queues is ready, held by a worker, or delayed by a worker."""

    plan: str
    queues: tuple[str, ...]
    kind: Literal["drained"] = "drained"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        return f"no message is left in {coded(self.queues)}"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Workers have fetched all messages of these queues."""

    plan: str
    queues: tuple[str, ...]
    kind: Literal["taken"] = "taken"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        return f"no message is ready in {coded(self.queues)}"


@dataclass(frozen=True, kw_only=True)
class TaskGone:
    """No message of a task is ready in these queues, or held by a worker."""

    plan: str
    queues: tuple[str, ...]
    task: str
    kind: Literal["task-gone"] = "task-gone"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        return f"no message of task `{self.task}` is left in {coded(self.queues)}"


@dataclass(frozen=True, kw_only=True)
class ContentGone:
    """No message is ready in these queues, and no worker holds a message of these content types."""

    plan: str
    queues: tuple[str, ...]
    content_types: tuple[str, ...]
    kind: Literal["content-gone"] = "content-gone"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        types = ", ".join(self.content_types)
        return f"no message is ready in {coded(self.queues)}, and no worker holds a message of type {types}"


@dataclass(frozen=True, kw_only=True)
class WorkerAnswer:
    """The expected answers of a worker: at least `replicas` processes, each with exactly these queues.

    `nodes` is the glob of the node names of its processes. `fingerprint` is that of the plan that it must
    have read, empty if the step leaves the worker alone. `or_none`: a process that shows no fingerprint runs
    a file from before there were fingerprints, which is accepted.
    """

    name: str
    nodes: str
    replicas: int
    queues: tuple[str, ...]
    fingerprint: str = ""
    or_none: bool = False

    @property
    def says(self) -> str:
        """What it must answer, in words."""
        times = f" {self.replicas} times" if self.replicas > 1 else ""
        return f"`{self.nodes}`{times} with {coded(self.queues)}"


@dataclass(frozen=True, kw_only=True)
class WorkersAnswer:
    """Every worker process answers with its queues, and with the plan that it has read."""

    plan: str
    workers: tuple[WorkerAnswer, ...]
    kind: Literal["workers-answer"] = "workers-answer"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        loaded = [bool(each.fingerprint) for each in self.workers]
        whom = "all" if all(loaded) else "the processes that this step starts, restarts or reloads"
        plan = f"; {whom} have loaded its plan" if any(loaded) else ""
        return f"every worker process lists its queues: {several(each.says for each in self.workers)}{plan}"


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A number of seconds is over."""

    seconds: int
    because: str
    kind: Literal["pause"] = "pause"

    @property
    def says(self) -> str:
        """What holds at the end, in words."""
        return f"{duration(self.seconds)} are over: {self.because}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A person has seen it, because no command can."""

    says: str
    kind: Literal["seen"] = "seen"


@dataclass(frozen=True, kw_only=True)
class DeleteQueue:
    """Delete a queue, if it is empty and has no consumer."""

    plan: str
    queue: str
    kind: Literal["delete-queue"] = "delete-queue"

    @property
    def says(self) -> str:
        """What it does, in words."""
        return f"delete queue `{self.queue}` if it is empty and has no consumer"


@dataclass(frozen=True, kw_only=True)
class DeleteExchange:
    """Delete an exchange, if nothing is bound to it."""

    plan: str
    exchange: str
    kind: Literal["delete-exchange"] = "delete-exchange"

    @property
    def says(self) -> str:
        """What it does, in words."""
        return f"delete exchange `{self.exchange}` if nothing is bound to it"


@dataclass(frozen=True, kw_only=True)
class MoveLevels:
    """Move messages from the Redis lists of removed priority levels to those that the plan has."""

    plan: str
    queues: tuple[str, ...]
    levels: tuple[int | float, ...]
    kind: Literal["move-levels"] = "move-levels"

    @property
    def says(self) -> str:
        """What it does, in words."""
        levels = ", ".join(f"{level:g}" for level in self.levels)
        return f"move messages from priority level {levels} of {coded(self.queues)} to levels that stay"


@dataclass(frozen=True, kw_only=True)
class DeleteRows:
    """Delete the rows of these schedules from the database of beat, with the Django of the application."""

    schedules: tuple[str, ...]
    kind: Literal["delete-rows"] = "delete-rows"

    @property
    def says(self) -> str:
        """What it does, in words."""
        return f"delete the rows of {coded(self.schedules)}"


Condition: TypeAlias = Drained | Taken | TaskGone | ContentGone | WorkersAnswer | Pause | Seen
BrokerAction: TypeAlias = DeleteQueue | DeleteExchange | MoveLevels
Action: TypeAlias = BrokerAction | DeleteRows


def coded(names: Iterable[str]) -> str:
    """Names in a sentence: the first ones, and the number of the others."""
    return several((f"`{name}`" for name in names), ", ")


def several(parts: Iterable[str], between: str = "; ") -> str:
    """The first parts of a long list, and the number of the others."""
    listed = list(parts)
    more = len(listed) - _MOST_TOLD
    tail = [f"and {more} more"] if more > 0 else []
    return between.join([*listed[:_MOST_TOLD], *tail])
