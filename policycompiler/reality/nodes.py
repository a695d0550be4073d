"""What workers and beats say about themselves, by node; `workers` asks them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policycompiler.plan import Plan, Scope, Setting, Value
from policycompiler.plan.node_names import worker_of
from policycompiler.reality.observed import observed

OPTIONS = (
    *("acks_late", "default_retry_delay", "ignore_result", "max_retries", "priority", "queue"),
    *("rate_limit", "reject_on_worker_lost", "serializer", "soft_time_limit", "time_limit"),
)
"""The options of tasks to ask for; their values have no spaces, so the answer can be split at them."""


class Consumed(NamedTuple):
    """A queue that a node consumes, as the node declared it."""

    name: str
    exchange: str
    exchange_type: str
    routing_key: str
    arguments: Mapping[str, Value]


class Held(NamedTuple):
    """A message that a node holds; `delayed` until its ETA."""

    exchange: str
    routing_key: str
    delayed: bool


class Node(NamedTuple):
    """A worker process, as it describes itself.

    `slots` is None for an unknown number. `busy`, `reserved` and `scheduled` count messages. `prefetch` is
    the number of messages that it may hold, `autoscale` the least and the most slots, `recycles_after` the
    runs of a child process. `tasks` has the options of each registered task as text, without those that are
    None. `settings` are the Celery settings that somebody has set. `held` are the messages that it holds, and
    `handles` the names of their tasks and of those that it has run. `version` and `ahead_seconds`, how far
    its clock is ahead of ours, come from heartbeats. `plan` is the fingerprint of the plan whose settings it
    has read, empty if it shows none. `answers` is more than 1 if several processes have this
    name.
    """

    name: str
    pool: str = ""
    slots: int | None = None
    autoscale: tuple[int, int] | None = None
    busy: int = 0
    reserved: int = 0
    scheduled: int = 0
    prefetch: int | None = None
    recycles_after: int | None = None
    queues: tuple[Consumed, ...] = ()
    tasks: Mapping[str, Mapping[str, str]] = {}
    settings: Mapping[str, Value] = {}
    handles: frozenset[str] = frozenset()
    held: tuple[Held, ...] = ()
    version: str = ""
    ahead_seconds: float | None = None
    plan: str = ""
    answers: int = 1


class Workers(NamedTuple):
    """The nodes by name; the beats that answered, with the number of answers from each name."""

    nodes: Mapping[str, Node]
    beats: Mapping[str, int]

    def of(self, plan: Plan) -> dict[str, list[Node]]:
        """The nodes of each worker of the plan, by its node name; those of no worker under an empty name."""
        found: dict[str, list[Node]] = {scope.name: [] for scope in plan.scopes("worker")}
        for node in self.nodes.values():
            found.setdefault(worker_of(plan, node.name), []).append(node)
        return found

    def consuming(self, queue: str) -> list[Node]:
        """The nodes that consume a queue."""
        return [node for node in self.nodes.values() if any(each.name == queue for each in node.queues)]


def settings_of(plan: Plan, found: Workers) -> Iterator[Setting]:
    """The plan of today, as far as workers show it. A worker that the plan lacks has the name of its node."""
    for node in found.nodes.values():
        scope = Scope("worker", worker_of(plan, node.name) or node.name)
        values: dict[str, Value] = {
            "pool": node.pool or None,
            "queues": [each.name for each in node.queues],
            "max_tasks_per_child": node.recycles_after,
            "concurrency": None if node.autoscale else node.slots,
            "autoscale": {"min": node.autoscale[0], "max": node.autoscale[1]} if node.autoscale else None,
            "prefetch_multiplier": multiplier(node),
        }
        for key, value in values.items():
            if value is not None:
                yield observed(scope, key, value, "worker", node.name)
        for task, options in node.tasks.items():
            for option, text in options.items():
                key = option if option == "queue" else f"options.{option}"
                yield observed(Scope("task", task), key, typed(text), "worker", node.name)


def multiplier(node: Node) -> float | None:
    """The prefetched messages of each slot; None if unknown. ETA tasks raise the limit for a while."""
    if not node.slots or node.prefetch is None:
        return None
    return (node.prefetch - node.scheduled) / node.slots


def typed(text: str) -> Value:
    """A value from its text in an answer."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
