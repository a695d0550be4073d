"""Fewer workers than queues: which queues share one, where no `workers:` entry consumes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

from policycompiler.model import Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import Plan, Scope

DEFAULT_WORK = "io"
"""Of a queue that no declared task is sent to."""


class Group(NamedTuple):
    """Queues that one worker consumes, the most urgent first, and what their tasks ask of it.

    `wait` and `patient` are the shortest and the longest promised wait, `bears` is the longest run that goes
    with the shortest one.
    """

    queues: tuple[str, ...]
    work: frozenset[str]
    wait: float
    patient: float
    bears: float
    longest: float


def shared(
    spec: Workload, plan: Plan, queues: Iterable[str], sent: Mapping[str, list[str]], most: int
) -> list[Group]:
    """The queues of each worker: one each, or as many together as it takes to need at most so many workers.

    There are more than `most` where too few queues go together.
    """
    groups = sorted((_group(spec, plan, queue, sent.get(queue, [])) for queue in queues), key=_urgency)
    while len(groups) > most:
        apart = spec.platform.promises_apart
        pairs = [pair for pair in combinations(groups, 2) if _go_together(*pair, apart)]
        if not pairs:
            break
        first, second = min(pairs, key=lambda pair: (pair[1].wait / pair[0].wait, pair))
        merged = _merged(first, second)
        rest = [group for group in groups if group not in (first, second)]
        groups = sorted([*rest, merged], key=_urgency)
    return groups


def _merged(first: Group, second: Group) -> Group:
    """Of two groups, the more urgent one first."""
    return first._replace(
        queues=first.queues + second.queues,
        patient=max(first.patient, second.patient),
        bears=_bears(first, second),
        longest=max(first.longest, second.longest),
    )


def _bears(first: Group, second: Group) -> float:
    return min(first.bears, second.bears) if first.wait == second.wait else first.bears


def _urgency(group: Group) -> tuple[float, tuple[str, ...]]:
    return group.wait, group.queues


def _group(spec: Workload, plan: Plan, queue: str, names: list[str]) -> Group:
    tasks = [task for name in names if not plan.value(task := Scope("task", name), "external")]
    own = [spec.latency_classes[plan.text(task, "latency")] for task in tasks]
    classes = own or [spec.latency_classes[DEFAULT_CLASS]]
    urgent = min(classes)
    runs = [
        plan.number_if_any(task, "runtime_p99_seconds") or each.runtime_p99_limit_seconds
        for task, each in zip(tasks, own, strict=True)
    ]
    return Group(
        (queue,),
        frozenset(plan.text(task, "work") for task in tasks) or frozenset({DEFAULT_WORK}),
        urgent.queue_wait_p99_seconds,
        max(each.queue_wait_p99_seconds for each in classes),
        urgent.runtime_p99_limit_seconds,
        max(runs, default=0),
    )


def _go_together(first: Group, second: Group, apart: float) -> bool:
    """Of two groups, the more urgent one first: no finding of `worker-mix` may come of it."""
    return (
        first.work == second.work
        and max(first.longest, second.longest) <= _bears(first, second)
        and max(first.patient, second.patient) < first.wait * apart
    )
