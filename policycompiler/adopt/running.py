"""The workers that run, for an application whose commands no file shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from policycompiler.plan import Scope, Setting, Value
from policycompiler.reality.nodes import Node, multiplier
from policycompiler.reality.observed import observed

_OF_CELERY = frozenset({"celery", "worker"})
"""First parts of node names that say nothing about the worker."""
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_seen = partial(observed, source="worker")


def workers_of(nodes: Iterable[Node]) -> Iterator[Setting]:
    """A worker for the nodes that are started alike, with their number as replicas."""
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in nodes:
        queues = tuple(each.name for each in node.queues)
        key = (queues, node.pool, node.slots, node.autoscale, node.recycles_after, multiplier(node))
        alike.setdefault(key, []).append(node)
    taken: set[str] = set()
    for several in alike.values():
        name = _name(several[0], taken)
        taken.add(name)
        yield from _worker(Scope("worker", name), several)


def _worker(scope: Scope, several: list[Node]) -> Iterator[Setting]:
    node, place = several[0], ", ".join(sorted(each.name for each in several))
    slots: Value = None if node.autoscale else node.slots
    scale: Value = {"min": node.autoscale[0], "max": node.autoscale[1]} if node.autoscale else None
    values: dict[str, Value] = {
        "queues": [each.name for each in node.queues],
        "pool": node.pool or None,
        "concurrency": slots,
        "autoscale": scale,
        "replicas": len(several),
        "max_tasks_per_child": node.recycles_after,
        "prefetch_multiplier": _whole(multiplier(node)),
    }
    for key, value in values.items():
        if value is not None:
            yield _seen(scope, key, value, place=place)
    shorts = {each.name.partition("@")[0] for each in several}
    if len(shorts) == 1:
        yield _seen(scope, "node_name", f"{shorts.pop()}@%h", place=place)


def _whole(number: float | None) -> int | None:
    """A multiplier that a flag can say; tasks with an ETA raise the prefetch of a worker for a while."""
    return int(number) if number is not None and number == int(number) else None


def _name(node: Node, taken: set[str]) -> str:
    """The name of a worker: the first part of its node name or, where that says nothing, its first queue."""
    short = node.name.partition("@")[0]
    if short in _OF_CELERY and node.queues:
        short = node.queues[0].name
    plain = _NOT_A_NAME.sub("-", short).strip("-.") or "worker"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    return name
