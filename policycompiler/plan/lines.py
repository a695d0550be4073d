"""The waiting line of each worker: its messages at peak, its slots, and the wait that it promises.

The mathematics is in `sizing`; this module finds its numbers in a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from policycompiler.knowledge import pools
from policycompiler.plan import APP, Constant, Derived, Parameter, Plan, Scope, Written
from policycompiler.plan.processes import sharing, slots_of
from policycompiler.sizing import Line, Promise, Service, largest_rate, lognormal, mixture, smallest_slots

PROMISED_SHARE = 0.99
"""The share of messages that start within the latency target of their class (`queue_wait_p99`)."""
MOST_BUSY = 0.95
"""A promise counts as broken above this share of busy slots, because 6% more traffic would fill them all."""


class Limit(StrEnum):
    """What decided the number of slots of a worker."""

    PINNED = "pinned"
    LOAD = "load"
    FEWEST = "fewest slots"
    UNDECLARED = "undeclared load"
    MEMORY = "memory"
    CORES = "cores"
    ASSUMED = "assumed slots"
    POOL = "pool"


class Flow(NamedTuple):
    """The messages of a task in a queue: how many a second at peak, and how long a run holds its slot.

    None is not declared. Each message is run `copies` times: once, or by each process of a broadcast queue.
    `limit` is the hard time limit in seconds, if there is one and the pool enforces it.
    """

    task: str
    queue: str
    rate: float | None
    service: Service | None
    limit: float | None = None
    copies: int = 1

    @property
    def runs(self) -> float:
        """Runs per second; 0 if the rate is not declared."""
        return (self.rate or 0) * self.copies

    @property
    def undeclared(self) -> list[str]:
        """The fields of the task that would have to be declared."""
        return [field for field, value in (("rate", self.rate), ("runtime", self.service)) if value is None]


class WorkerLine(NamedTuple):
    """A worker in the line of its queues.

    `flows` and `all_slots` are those of the whole line: workers that share a queue (`beside`) share a line.
    `processes` are the most that run, and `slots_each` the most slots of one of them. `promise_seconds` is
    the shortest wait that one of its queues promises. `declared_bytes` is the largest declared memory of a
    run. `autoscale` bounds the slots of a process, and `scaling` the processes, if a platform changes them.
    `prefetches` says that one of several processes takes more messages than it runs, so others wait behind
    them; the mathematics leaves this out.
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
    declared_bytes: int | None = None
    autoscale: tuple[int, int] | None = None
    scaling: tuple[int, int] | None = None
    prefetches: bool = False

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
        parts = [(flow.runs, flow.service) for flow in self.flows if flow.service is not None]
        return Line(sum(rate for rate, _ in parts), mixture(parts), self.all_slots)

    @property
    def load(self) -> float | None:
        """The mean number of busy slots of this worker: its share of the load of the line."""
        line = self.line
        if line is None:
            return None
        share = self.slots / self.all_slots if self.all_slots else 1 / (len(self.beside) + 1)
        return line.load * share

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
        return smallest_slots(line.rate, line.service, promise) if line and promise else None

    @property
    def breaks_at(self) -> float | None:
        """The factor of today's traffic up to which the promise holds; below 1, it is broken today."""
        line, promise = self.line, self.promise
        if line is None or promise is None or not line.rate:
            return None
        return largest_rate(line.service, line.slots, promise) / line.rate

    @property
    def memory_bytes(self) -> int:
        """An estimate for all its processes: the first process of each, and its slots.

        A slot needs as much as the largest declared run. Without a declaration, it needs what it needs
        without an application.
        """
        each = max(pools.pool(self.pool).slot_bytes, self.declared_bytes or 0)
        return self.processes * (pools.PARENT_BYTES + self.slots_each * each)


def worker_lines(plan: Plan) -> list[WorkerLine]:
    """The line of each worker, by name."""
    found = [each for group in sharing(plan) for each in _of_group(plan, group)]
    return sorted(found, key=lambda each: each.worker)


def _of_group(plan: Plan, group: Sequence[Scope]) -> Iterator[WorkerLine]:
    """The workers of one line."""
    flows = tuple(_flows(plan, group))
    processes = {worker: int(plan.number(worker, "replicas")) for worker in group}
    slots = {worker: int(slots_of(plan, worker)) for worker in group}
    whole = sum(processes[worker] * slots[worker] for worker in group)
    several = sum(processes.values()) > 1
    for worker in group:
        queues = tuple(plan.texts(worker, "queues"))
        promises = (plan.number_if_any(Scope("queue", name), "queue_wait_seconds") for name in queues)
        sizes = [
            plan.number_if_any(Scope("task", name), "memory_bytes") for name in plan.texts(worker, "tasks")
        ]
        yield WorkerLine(
            worker.name,
            plan.text(worker, "pool"),
            queues,
            processes[worker],
            slots[worker],
            flows,
            whole,
            tuple(other.name for other in group if other != worker),
            min((seconds for seconds in promises if seconds is not None), default=None),
            limit_of(plan, worker),
            max((int(size) for size in sizes if size is not None), default=None),
            _bounds(plan, worker, "autoscale"),
            _bounds(plan, worker, "scaling"),
            several and _prefetches(plan, worker),
        )


def _flows(plan: Plan, group: Sequence[Scope]) -> Iterator[Flow]:
    """The messages that the workers of a line get, by queue and task."""
    pools_of = {plan.text(worker, "pool") for worker in group}
    enforced = all(pools.pool(kind).hard for kind in pools_of)
    for name in sorted({name for worker in group for name in plan.texts(worker, "queues")}):
        queue = Scope("queue", name)
        consumers = [worker for worker in group if name in plan.texts(worker, "queues")]
        copies = 1
        if plan.get(queue, "broadcast"):
            copies = sum(int(plan.number(worker, "replicas")) for worker in consumers)
        for task in (Scope("task", each) for each in plan.texts(queue, "tasks")):
            # A publisher may choose further queues for a task, but its rate is declared once.
            if plan.value(task, "queue") == name and not plan.value(task, "external"):
                yield _flow(plan, task, name, copies, enforced=enforced)


def _flow(plan: Plan, task: Scope, queue: str, copies: int, *, enforced: bool) -> Flow:
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
    service = None if p99 is None else lognormal(p50, p99, limit or None)
    return Flow(task.name, queue, rate, service, limit or None, copies)


def _prefetches(plan: Plan, worker: Scope) -> bool:
    """Whether a process takes more than one message for each slot, or any number of them (0)."""
    return not plan.get(worker, "disable_prefetch") and plan.get(worker, "prefetch_multiplier", 1) != 1


def _bounds(plan: Plan, worker: Scope, key: str) -> tuple[int, int] | None:
    """The smallest and the largest number, if they differ."""
    bounds = plan.get(worker, key)
    if not isinstance(bounds, dict) or bounds["min"] == bounds["max"]:
        return None
    return int(str(bounds["min"])), int(str(bounds["max"]))


def limit_of(plan: Plan, worker: Scope) -> Limit:
    """What decided the slots of one process of a worker, from the origins of their number."""
    setting = plan.find(worker, "autoscale") or plan.setting(worker, "concurrency")
    parameters = {str(each.path[-1]): each.value for each in setting.origins if isinstance(each, Parameter)}
    named = {each.name for each in setting.origins if isinstance(each, Constant)}
    written = any(isinstance(each, Written) for each in setting.origins)
    # Rounded up, so that all processes together have the fewest slots.
    fewest = -(-int(str(parameters.get("fewest_slots", 0))) // max(int(plan.number(worker, "replicas")), 1))
    possible = (
        # Before pins, because the pool itself may be pinned.
        (Limit.POOL, setting.origins[-1] == Derived(worker, "pool")),
        (Limit.PINNED, plan.written(worker, setting.key) is not None),
        (Limit.MEMORY, "PARENT_BYTES" in named),
        (Limit.ASSUMED, "assumed_slots" in parameters),
        (Limit.CORES, written),
        (Limit.UNDECLARED, "busy_at_peak" not in parameters),
        (Limit.FEWEST, slots_of(plan, worker) <= fewest),
    )
    return next((limit for limit, decided in possible if decided), Limit.LOAD)
