"""Fewer workers than queues: which queues share one, where no `workers:` entry consumes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
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
    groups = [_group(spec, plan, queue, sent.get(queue, [])) for queue in queues]
    return joined(groups, most, spec.platform.promises_apart)


def joined(groups: Sequence[Group], most: int, apart: float) -> list[Group]:
    """At most so many groups, the most urgent first; more where too few go together.

    Two are joined at a time: the closest promises, and of equally close ones those whose queues come first.
    One pass over the pairs finds what a search after each join would: a join changes neither wait nor first
    queue of the group that stays, and two groups that do not go together never will, as no join makes a
    group easier to join.
    """
    left = {group.queues[0]: group for group in groups}
    waits = sorted({group.wait for group in groups})
    ratios: dict[float, dict[float, list[float]]] = {}
    for urgent, patient in combinations_with_replacement(waits, 2):
        ratios.setdefault(patient / urgent, {}).setdefault(urgent, []).append(patient)
    for _, partners in sorted(ratios.items()):
        _join(left, partners, most, apart)
    return sorted(left.values(), key=_urgency)


def _join(left: dict[str, Group], partners: Mapping[float, list[float]], most: int, apart: float) -> None:
    """Join groups whose waits are partners. `left` has them by first queue and loses what is joined."""
    names = sorted(left)
    seconds = _seconds(left, names, partners, apart)
    for name in names:
        if len(left) <= most:
            return
        first = left.get(name)
        if first is None or not _can_be_first(first, apart):
            continue
        unjoined = []
        for other in seconds.get((first.work, first.wait), ()):
            second = left.get(other)
            # Of equally urgent groups the first by name is the first one; later ones have greater names yet.
            if second is None or (second.wait == first.wait and other <= name):
                continue
            if len(left) > most and _go_together(left[name], second, apart):
                left[name] = _merged(left[name], second)
                del left[other]
            else:
                unjoined.append(other)
        seconds[first.work, first.wait] = unjoined


def _seconds(
    left: Mapping[str, Group], names: Iterable[str], partners: Mapping[float, list[float]], apart: float
) -> dict[tuple[frozenset[str], float], list[str]]:
    """By work and wait of the first one, those that may be second: what no first one bears is left out."""
    borne: dict[tuple[frozenset[str], float], float] = {}
    for group in left.values():
        if group.wait in partners and _can_be_first(group, apart):
            borne[group.work, group.wait] = max(borne.get((group.work, group.wait), 0), group.bears)
    seconds: dict[tuple[frozenset[str], float], list[str]] = {first: [] for first in borne}
    for name in names:
        group = left[name]
        for wait, patient in partners.items():
            longest = borne.get((group.work, wait))
            if longest is None or group.wait not in patient:
                continue
            if group.longest <= longest and group.patient < wait * apart:
                seconds[group.work, wait].append(name)
    return seconds


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


def _can_be_first(group: Group, apart: float) -> bool:
    """Whether there can be a group that goes with this one, which is the more urgent."""
    return group.longest <= group.bears and group.patient < group.wait * apart


def _go_together(first: Group, second: Group, apart: float) -> bool:
    """Of two groups, the more urgent one first: no finding of `worker-mix` may come of it."""
    return (
        first.work == second.work
        and max(first.longest, second.longest) <= _bears(first, second)
        and max(first.patient, second.patient) < first.wait * apart
    )
