"""Which workers run the messages of a queue together, and what part of them, if workers share some queues.

A worker that is full with messages of one queue leaves those of a shared queue to its neighbors. So the load
of each queue is spread over the workers that consume it, as evenly as possible. Then the load of every set of
queues fits its workers if no worker is busier than its slots.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from policycompiler.plan import Plan, Scope
from policycompiler.plan.processes import slots_of

_ROUNDS = 300
_CLOSE = 1e-4
"""Levels that differ by less are one: the spread ends after some rounds."""
_FEWEST = 1e-9
"""In place of no slots: a worker that does not run leaves its messages to others."""


class Team(NamedTuple):
    """Workers that have a line together, with its slots.

    `copies` says how many runs each message of a queue brings: 1, or the part of a queue that further workers
    consume. The line of a worker with a broadcast queue is that of one process, which runs every message.
    `grows` says that others consume some of the queues, so more slots also take more of their load.
    """

    workers: tuple[Scope, ...]
    slots: int
    copies: Mapping[str, float]
    grows: bool = False


class _Group(NamedTuple):
    """Workers that share queues: their queues with tasks, their slots, and how busy each is (`levels`)."""

    takers: Mapping[str, Sequence[Scope]]
    load: Mapping[str, float]
    slots: Mapping[Scope, int]
    alone: Mapping[Scope, float]
    levels: Mapping[Scope, float]

    def slots_together(self, workers: Iterable[Scope]) -> int:
        return sum(self.slots[worker] for worker in workers)

    def runners(self, queue: str) -> list[Scope]:
        """The workers that run its messages: the least busy ones that consume it."""
        least = min(self.levels[worker] for worker in self.takers[queue])
        most = least * (1 + _CLOSE) + _CLOSE * _CLOSE
        return [worker for worker in self.takers[queue] if self.levels[worker] <= most]

    def parts(self, team: Collection[Scope]) -> dict[str, float]:
        """The part of each queue that a team runs."""
        ran = {queue: self.runners(queue) for queue in self.takers}
        ran = {queue: runners for queue, runners in ran.items() if not {*runners}.isdisjoint(team)}
        shared = [queue for queue, runners in ran.items() if not {*runners} <= {*team}]
        busy = sum(self.levels[worker] * max(self.slots[worker], _FEWEST) for worker in team)
        own = sum(self.alone[worker] for worker in team)
        own += sum(self.load[queue] for queue in ran if queue not in shared)
        further = sum(self.load[queue] for queue in shared)
        part = min(max((busy - own) / further, 0.0), 1.0) if further else None
        found = {}
        for queue, runners in ran.items():
            whole = self.slots_together(runners)
            by_slots = self.slots_together({*runners} & {*team}) / whole if whole else 1.0
            found[queue] = 1 if queue not in shared else by_slots if part is None else part
        return found


def teams(plan: Plan, group: Sequence[Scope], load: Mapping[str, float]) -> dict[Scope, Team]:
    """The team of each worker of a group.

    Args:
        plan: has the queues and the slots.
        group: workers that share queues, directly or through others.
        load: for each queue with tasks, the slots that its messages keep busy if each runs once.
    """
    queues = {worker: {*plan.texts(worker, "queues")} for worker in group}
    processes = {worker: int(plan.number(worker, "replicas")) for worker in group}
    slots = {worker: processes[worker] * int(slots_of(plan, worker)) for worker in group}
    broadcasts = {
        name for names in queues.values() for name in names if plan.get(Scope("queue", name), "broadcast")
    }
    if not broadcasts and len({frozenset(names) for names in queues.values()}) == 1:
        one = Team((*group,), sum(slots.values()), dict.fromkeys(queues[group[0]], 1))
        return dict.fromkeys(group, one)
    alone = {
        worker: processes[worker]
        * math.fsum(load.get(name, 0) for name in sorted(queues[worker] & broadcasts))
        for worker in group
    }
    takers = {
        name: [worker for worker in group if name in queues[worker]]
        for name in sorted(load)
        if name not in broadcasts
    }
    takers = {name: workers for name, workers in takers.items() if workers}
    levels = _levels(takers, load, slots, alone)
    whole = _Group(takers, load, slots, alone, levels)
    found = {}
    for worker in group:
        own = sorted(queues[worker] & broadcasts)
        team = [worker] if broadcasts else _closest(plan, whole, worker)
        parts, count = whole.parts(team), whole.slots_together(team)
        grows = any(part < 1 for part in parts.values())
        if own and processes[worker]:
            parts = {name: part / processes[worker] for name, part in parts.items()} | dict.fromkeys(own, 1)
            count //= processes[worker]
        found[worker] = Team((*team,), count, parts, grows)
    return found


def _closest(plan: Plan, group: _Group, worker: Scope) -> list[Scope]:
    """The workers that run the messages of its most urgent queue; the fewest slots if there are several."""
    found = []
    for name, takers in group.takers.items():
        runners = group.runners(name) if worker in takers else []
        if worker in runners:
            seconds = plan.number_if_any(Scope("queue", name), "queue_wait_seconds")
            urgency = math.inf if seconds is None else seconds
            found.append((urgency, group.slots_together(runners), name, runners))
    return min(found)[-1] if found else [worker]


def _levels(
    takers: Mapping[str, Sequence[Scope]],
    load: Mapping[str, float],
    slots: Mapping[Scope, int],
    alone: Mapping[Scope, float],
) -> dict[Scope, float]:
    """How busy each worker is, as a part of its slots, if the load is spread as evenly as possible."""
    kinds: dict[tuple[Scope, ...], float] = {}
    for queue, workers in takers.items():
        kinds[*workers,] = kinds.get((*workers,), 0) + load[queue]
    sizes = {worker: max(count, _FEWEST) for worker, count in slots.items()}
    busy, given = dict(alone), {workers: dict.fromkeys(workers, 0.0) for workers in kinds}
    for _ in range(_ROUNDS):
        moved = 0.0
        for workers, amount in kinds.items():
            before = given[workers]
            for worker in workers:
                busy[worker] -= before[worker]
            level = _filled(amount, [(busy[worker], sizes[worker]) for worker in workers])
            after = {worker: max(level * sizes[worker] - busy[worker], 0.0) for worker in workers}
            for worker in workers:
                busy[worker] += after[worker]
                moved += abs(after[worker] - before[worker])
            given[workers] = after
        if moved <= _CLOSE * _CLOSE * math.fsum(kinds.values()):
            break
    return {worker: busy[worker] / sizes[worker] for worker in slots}


def _filled(amount: float, workers: Iterable[tuple[float, float]]) -> float:
    """The level up to which an amount fills workers that are busy and have a size."""
    ordered = sorted((busy / size, size) for busy, size in workers)
    size = 0.0
    for (level, each), (following, _) in pairwise([*ordered, (math.inf, 0.0)]):
        size += each
        if amount <= (following - level) * size:
            return level + amount / size
        amount -= (following - level) * size
    return 0.0
