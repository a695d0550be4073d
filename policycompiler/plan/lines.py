"""The waiting line of each worker: its messages at peak, its slots, and the wait that it promises.

The mathematics is in `sizing`; this module finds its numbers in a plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from policycompiler.knowledge import pools
from policycompiler.plan import APP, Plan, Scope
from policycompiler.plan.processes import sharing, slots_of
from policycompiler.plan.teams import Team, teams
from policycompiler.sizing import (
    TURNAROUND_SECONDS,
    Line,
    Promise,
    Service,
    largest_rate,
    lognormal,
    mixture,
    smallest_slots,
)

PROMISED_SHARE = 0.99
"""The share of messages that start within the latency target of their class (`queue_wait_p99`)."""
MOST_BUSY = 0.95
"""A promise counts as broken above this share of busy slots, because 6% more traffic would fill them all."""
_ROUNDING = 1e-9


class Limit(StrEnum):
    """What decided the number of slots of a worker."""

    PINNED = "pinned"
    WAIT = "wait"
    LOAD = "load"
    FEWEST = "fewest slots"
    UNDECLARED = "undeclared load"
    MEMORY = "memory"
    CORES = "cores"
    CONNECTIONS = "connections"
    RATE = "rate"
    ASSUMED = "assumed slots"
    POOL = "pool"


class Flow(NamedTuple):
    """The messages of a task in a queue: how many a second at peak, and how long a run holds its slot.

    None is not declared. Each message brings `copies` runs to the line: 1, or the part that the line runs if
    other workers, or other processes of a worker with a broadcast queue, run the rest.
    `limit` is the hard time limit in seconds, if there is one and the pool enforces it.
    """

    task: str
    queue: str
    rate: float | None
    service: Service | None
    limit: float | None = None
    copies: float = 1

    @property
    def runs(self) -> float:
        """Runs per second; 0 if the rate is not declared."""
        return (self.rate or 0) * self.copies

    @property
    def undeclared(self) -> list[str]:
        """The fields of the task that would have to be declared."""
        return [field for field, value in (("rate", self.rate), ("runtime", self.service)) if value is None]


def together(flows: Iterable[Flow]) -> tuple[float, Service]:
    """The rate of all messages whose run time is declared, and the mixture of their run times."""
    parts = [(flow.runs, flow.service) for flow in flows if flow.service is not None]
    return math.fsum(rate for rate, _ in parts), mixture(parts)


def held(flows: Iterable[Flow]) -> tuple[float, Service]:
    """The same with how long each run holds its slot: until the next run can begin."""
    rate, service = together(flows)
    return rate, service.longer(TURNAROUND_SECONDS) if rate else service


def at_once(service: Service, slots: int, busy: float) -> Line:
    """The line of messages that come at once, on slots of which so many are busy with others."""
    longer = service.longer(TURNAROUND_SECONDS)
    return Line(busy / longer.mean, longer, slots)


class WorkerLine(NamedTuple):
    """A worker in the line of its queues.

    `flows` and `all_slots` are those of the whole line: workers that share queues (`beside`) share a line.
    If they share only some, the line has those that run its most urgent queue, and their part of the load.
    With a broadcast queue, the line is that of one process.
    `processes` are the most that run, and `slots_each` the most slots of one of them. `promise_seconds` is
    the shortest wait that one of its queues promises. `base_bytes` is the memory of a process without its
    slots, and `slot_bytes` that of a slot; a plan of an earlier version has neither. `autoscale` bounds the
    slots of a process, and `scaling` the processes, if a platform changes them.
    `prefetches` says that one of several processes takes more messages than it runs, so others wait behind
    them; the mathematics leaves this out. `grows` says that more slots also take more of the load, from
    workers that share only some of its queues.
    """

    worker: str
    pool: str
    queues: tuple[str, ...]
    processes: int
    slots_each: int
    flows: tuple[Flow, ...]
    all_slots: int
    beside: tuple[str, ...]
    promise_seconds: float | None
    limited_by: Limit
    base_bytes: int | None = None
    slot_bytes: int | None = None
    autoscale: tuple[int, int] | None = None
    scaling: tuple[int, int] | None = None
    prefetches: bool = False
    grows: bool = False

    @property
    def slots(self) -> int:
        """The slots of all its processes."""
        return self.processes * self.slots_each

    @property
    def known(self) -> bool:
        """Whether all its messages have a rate and a run time."""
        return bool(self.flows) and not any(flow.undeclared for flow in self.flows)

    @property
    def line(self) -> Line | None:
        """The line of the mixture of all its messages; None if a rate or a run time is not declared."""
        if not self.known:
            return None
        return Line(*held(self.flows), self.all_slots)

    @property
    def busy(self) -> float:
        """The busy share of its slots at peak, as far as rates and run times are declared."""
        rate, service = held(self.flows)
        return rate * service.mean / self.all_slots if self.all_slots else 0.0

    @property
    def load(self) -> float | None:
        """The mean number of busy slots of this worker: its share of the load of the line, by slots."""
        if not self.known:
            return None
        rate, service = together(self.flows)
        share = self.slots / self.all_slots if self.all_slots else 1 / (len(self.beside) + 1)
        return rate * service.mean * share

    @property
    def promise(self) -> Promise | None:
        """The promise of its most urgent queue."""
        if self.promise_seconds is None:
            return None
        return Promise(self.promise_seconds, PROMISED_SHARE, MOST_BUSY)

    @property
    def fewest_slots(self) -> int | None:
        """The smallest number of slots of the whole line that keeps the promise; None if none is known."""
        line, promise = self.line, self.promise
        if line is None or promise is None:
            return None
        slots = smallest_slots(line.rate, line.service, promise)
        if not self.grows or slots is None or promise.holds(line) or line.utilization > MOST_BUSY:
            return slots
        # Careful: more slots take so much more load that they are as busy as now.
        rate = line.rate / line.slots * (1 - _ROUNDING)
        while not promise.holds(line._replace(rate=rate * slots, slots=slots)):
            slots += 1 + slots // 16
        return slots

    @property
    def breaks_at(self) -> float | None:
        """The factor of today's traffic up to which the promise holds; below 1, it is broken today."""
        line, promise = self.line, self.promise
        if line is None or promise is None or not line.rate:
            return None
        return largest_rate(line.service, line.slots, promise) / line.rate

    @property
    def memory_bytes(self) -> int | None:
        """An estimate for all its processes with their slots; None if the plan has no estimate."""
        if self.base_bytes is None or self.slot_bytes is None:
            return None
        return self.processes * (self.base_bytes + self.slots_each * self.slot_bytes)


def worker_lines(plan: Plan) -> list[WorkerLine]:
    """The line of each worker, by name."""
    found = [each for group in sharing(plan) for each in _of_group(plan, group)]
    return sorted(found, key=lambda each: each.worker)


def sized(lines: Sequence[WorkerLine]) -> list[WorkerLine]:
    """The lines whose slots the plan knows.

    One without slots has no running worker, which is another hazard.
    """
    assumed = {each.worker for each in lines if each.limited_by is Limit.ASSUMED}
    return [
        each for each in lines if each.all_slots and not assumed.intersection((each.worker, *each.beside))
    ]


def _of_group(plan: Plan, group: Sequence[Scope]) -> Iterator[WorkerLine]:
    """The workers of one group."""
    processes = {worker: int(plan.number(worker, "replicas")) for worker in group}
    flows = [*flows_of(plan, group)]
    found = teams(plan, group, _loads(flows))
    several = sum(processes.values()) > 1
    for worker in group:
        team = found[worker]
        yield WorkerLine(
            worker.name,
            plan.text(worker, "pool"),
            tuple(plan.texts(worker, "queues")),
            processes[worker],
            int(slots_of(plan, worker)),
            tuple(_run_by(team, flows)),
            team.slots,
            tuple(other.name for other in team.workers if other != worker),
            urgent[0] if (urgent := most_urgent(plan, worker)) else None,
            Limit(str(plan.get(worker, "sized_by", Limit.PINNED))),
            _whole(plan, worker, "base_bytes"),
            _whole(plan, worker, "slot_bytes"),
            _bounds(plan, worker, "autoscale"),
            _bounds(plan, worker, "scaling"),
            several and _prefetches(plan, worker),
            team.grows,
        )


def _loads(flows: Iterable[Flow]) -> dict[str, float]:
    """The slots that the messages of each queue keep busy."""
    found: dict[str, float] = {}
    for flow in flows:
        rate, service = held([flow])
        found[flow.queue] = found.get(flow.queue, 0) + rate * service.mean
    return found


def _run_by(team: Team, flows: Iterable[Flow]) -> Iterator[Flow]:
    """The messages of a team."""
    for flow in flows:
        if flow.queue in team.copies:
            yield flow._replace(copies=team.copies[flow.queue])


def most_urgent(plan: Plan, worker: Scope) -> tuple[float, Scope] | None:
    """The shortest wait that a queue of a worker promises, in seconds, and the queue."""
    queues = [Scope("queue", name) for name in plan.texts(worker, "queues")]
    promises = [(plan.number_if_any(queue, "queue_wait_seconds"), queue) for queue in queues]
    return min(((seconds, queue) for seconds, queue in promises if seconds is not None), default=None)


def flows_of(plan: Plan, group: Sequence[Scope]) -> Iterator[Flow]:
    """The messages that workers get at peak, each once, by queue and task."""
    pools_of = {plan.text(worker, "pool") for worker in group}
    enforced = all(pools.pool(kind).hard for kind in pools_of)
    for name in sorted({name for worker in group for name in plan.texts(worker, "queues")}):
        queue = Scope("queue", name)
        for task in (Scope("task", each) for each in plan.texts(queue, "tasks")):
            # A publisher may choose further queues for a task, but its rate is declared once.
            if plan.value(task, "queue") == name and not plan.value(task, "external"):
                yield _flow(plan, task, name, enforced=enforced)


def _flow(plan: Plan, task: Scope, queue: str, *, enforced: bool) -> Flow:
    rate = plan.number_if_any(task, "rate_peak_per_second")
    if rate is None:
        rate = plan.number_if_any(task, "rate_mean_per_second")
    p50 = plan.number_if_any(task, "runtime_p50_seconds")
    p99 = plan.number_if_any(task, "runtime_p99_seconds")
    limit = None
    if enforced:
        key = "options.time_limit"
        of_task = plan.find(task, key) is not None
        limit = plan.number_if_any(task, key) if of_task else plan.number_if_any(APP, "task_time_limit")
    service = None
    if p99 is not None:
        service = lognormal(p50, p99, limit or None)
    return Flow(task.name, queue, rate, service, limit or None)


def _prefetches(plan: Plan, worker: Scope) -> bool:
    """Whether a process takes more than one message for each slot, or any number of them (0)."""
    return not plan.get(worker, "disable_prefetch") and plan.get(worker, "prefetch_multiplier", 1) != 1


def _whole(plan: Plan, worker: Scope, key: str) -> int | None:
    value = plan.number_if_any(worker, key)
    return None if value is None else int(value)


def _bounds(plan: Plan, worker: Scope, key: str) -> tuple[int, int] | None:
    """The smallest and the largest number, if they differ."""
    bounds = plan.get(worker, key)
    if not isinstance(bounds, dict) or bounds["min"] == bounds["max"]:
        return None
    return int(str(bounds["min"])), int(str(bounds["max"]))
