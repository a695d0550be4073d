"""Fewer workers than queues: which queues share a worker if no `workers:` entry consumes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

from policycompiler.model import Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import Plan, Scope

DEFAULT_WORK = "io"
"""For a queue that no declared task is sent to."""


class Group(NamedTuple):
    """Queues that one worker consumes, the most urgent first, and the needs of their tasks.

    `wait` and `patient` are the shortest and the longest latency target. `bears` is the longest run that the
    most urgent class allows.
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
    """The queues of each worker: one each, or several, so that at most `most` workers are needed.

    There are more than `most` if too few queues can share a worker.
    """
    groups = [_group(spec, plan, queue, sent.get(queue, [])) for queue in queues]
    return joined(groups, most, spec.platform.promises_apart)


def joined(groups: Sequence[Group], most: int, apart: float) -> list[Group]:
    """At most `most` groups, the most urgent first; more if too few can share a worker.

    Two groups are joined at a time: the closest latency targets first, then by the name of their queues. One
    pass over the pairs finds the same as a search after each join. A join changes neither the wait nor the
    first queue of the group that stays. Two groups that cannot be joined now cannot be joined later, because
    no join makes a group easier to join.
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
    """Join groups whose waits are partners. `left` has the groups by first queue and loses joined ones."""
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
            # Of two equally urgent groups, the one with the smaller name is the first.
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
    """By work and wait of the first group: the groups with runs short enough to be second."""
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
    """Join two groups, the more urgent one first."""
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
    """Whether any less urgent group can share a worker with this one."""
    return group.longest <= group.bears and group.patient < group.wait * apart


def _go_together(first: Group, second: Group, apart: float) -> bool:
    """Whether two groups, the more urgent one first, share a worker without a finding of `worker-mix`."""
    return (
        first.work == second.work
        and max(first.longest, second.longest) <= _bears(first, second)
        and max(first.patient, second.patient) < first.wait * apart
    )
