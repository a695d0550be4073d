"""How many slots a worker wants for its load and its promise, all processes together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from policycompiler.knowledge import pools
from policycompiler.plan import MOST_PROCESSES, Derived, Origin, Plan, Scope
from policycompiler.plan.lines import (
    MOST_BUSY,
    PROMISED_SHARE,
    Flow,
    Limit,
    flows_of,
    held,
    most_urgent,
    together,
)
from policycompiler.plan.processes import paced_slots
from policycompiler.policies.workers.concurrency.tuned import Parameters
from policycompiler.quantities import counted, duration, figure
from policycompiler.sizing import Promise, smallest_slots

_ROUNDING = 1e-12
PEAK, MEAN, RUNTIME = "rate_peak_per_second", "rate_mean_per_second", "runtime_mean_seconds"


class Want(NamedTuple):
    """A number of slots, the reason, the origins, and what decided it.

    Below `least` the backlog grows, and `kept` slots keep the promise without a reserve. `rate` are the runs
    per second at peak. `processes` are those that a worker with a broadcast queue needs; 0 is open.
    """

    slots: int
    because: str
    origins: tuple[Origin, ...]
    limit: Limit
    least: int = 1
    kept: int = 1
    rate: float = 0
    processes: int = 0


class _Line(NamedTuple):
    """The declared load of a worker: `load` slots are busy at peak, and `complete` if it is the whole."""

    flows: Sequence[Flow]
    load: float
    origins: tuple[Origin, ...]
    complete: bool


def wanted(plan: Plan, worker: Scope, tuned: Parameters, most: int) -> Want:
    """The smallest number that keeps the promise at peak; a modest one if not all rates are declared.

    Workers that consume the same queues share it. No more slots than the rate of a dependency lets run.
    `most` are the slots that one process can have.
    """
    want, paced = _part(plan, worker, _in_processes(plan, worker, tuned, most)), paced_slots(plan, worker)
    if paced is None or paced[0] >= want.slots:
        return want
    slots, called = paced
    because = f"with more slots, runs would wait longer than `hold` for their turn to call {called.name}"
    keys = ("rate_per_second", "hold_seconds")
    origins = (*(Derived(called, key) for key in keys), *want.origins)
    return want._replace(slots=slots, because=because, origins=origins, limit=Limit.RATE)


def _part(plan: Plan, worker: Scope, want: Want) -> Want:
    """The part of a worker beside others that consume the same queues."""
    others = _alongside(plan, worker)
    if not others or want.limit not in (Limit.WAIT, Limit.LOAD):
        return want
    count = len(others) + 1
    slots, least, kept = (math.ceil(each / count) for each in (want.slots, want.least, want.kept))
    because = f"{want.because}; {count} workers that consume the same queues share them"
    origins = (*want.origins, *(Derived(each, "queues") for each in others))
    return want._replace(
        slots=slots, because=because, origins=origins, least=least, kept=kept, rate=want.rate / count
    )


def _alongside(plan: Plan, worker: Scope) -> list[Scope]:
    """Other workers of the same queues that run and pin no slots either, so that each gets as many."""
    queues = {*plan.texts(worker, "queues")}
    return [
        each
        for each in plan.scopes("worker")
        if each != worker
        and plan.get(each, "replicas") != 0
        and {*plan.texts(each, "queues")} == queues
        and plan.text(each, "pool") == plan.text(worker, "pool")
        and not any(plan.written(each, key) for key in ("concurrency", "autoscale", "concurrency_source"))
        and not any(plan.get(Scope("queue", queue), "broadcast") for queue in queues)
    ]


def _in_processes(plan: Plan, worker: Scope, tuned: Parameters, most: int) -> Want:
    """What all processes want; each runs all messages of its broadcast queues, and a part of the others."""
    if not _broadcasts(plan, worker):
        return _wanted(plan, worker, tuned, 1)
    pinned = plan.get(worker, "replicas")
    count = pinned if isinstance(pinned, int) and pinned else _processes(plan, worker, tuned, most)
    want = _wanted(plan, worker, tuned, count)
    slots, least, kept = (count * each for each in (want.slots, want.least, want.kept))
    because = f"{want.because}; so in each of {count} processes" if count > 1 else want.because
    return want._replace(slots=slots, because=because, least=least, kept=kept, processes=count)


def _processes(plan: Plan, worker: Scope, tuned: Parameters, most: int) -> int:
    """The fewest processes of which each has enough slots; 1 if broadcasts alone are too many for one."""
    shared = pools.pool(plan.text(worker, "pool")).shares_process

    def fits(count: int) -> bool:
        want = _wanted(plan, worker, tuned, count)
        return want.slots <= most and not (shared and want.rate > tuned.runs_per_second)

    if alike(plan, worker):
        return 1
    few, many = 0, 1
    while not fits(many):
        few, many = many, many * 2
        if many > MOST_PROCESSES:
            return max(1, math.ceil(_line(plan, worker, 1).load / most))
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if fits(middle) else (middle, many)
    return many


def _wanted(plan: Plan, worker: Scope, tuned: Parameters, processes: int) -> Want:
    kind = plan.text(worker, "pool")
    if not pools.pool(kind).slots:
        return Want(1, f"a {kind} pool has one slot", (Derived(worker, "pool"),), Limit.POOL)
    line = _line(plan, worker, processes)
    if not line.flows:
        return _modest(plan, worker, tuned)
    key = _ceiling(plan, worker)
    by_load = _by_load(line, key, tuned)
    if not line.complete:
        modest = _modest(plan, worker, tuned)
        return by_load if by_load.slots > modest.slots else modest._replace(least=by_load.least)
    by_wait = _by_wait(plan, worker, line, tuned)
    if by_wait is None:
        return by_load
    return (by_wait if by_wait.slots > by_load.slots else by_load)._replace(kept=by_wait.kept)


def _line(plan: Plan, worker: Scope, processes: int) -> _Line:
    flows = [*_flows(plan, worker, processes)]
    rate, service = together(flows)
    names = sorted({flow.task for flow in flows if not flow.undeclared})
    origins: list[Origin] = []
    for task in (Scope("task", name) for name in names):
        origins += [Derived(task, PEAK if plan.find(task, PEAK) else MEAN), Derived(task, RUNTIME)]
    return _Line(flows, rate * service.mean, tuple(origins), not any(flow.undeclared for flow in flows))


def _broadcasts(plan: Plan, worker: Scope) -> bool:
    return any(plan.get(Scope("queue", name), "broadcast") for name in plan.texts(worker, "queues"))


def _flows(plan: Plan, worker: Scope, processes: int = 1) -> Iterator[Flow]:
    """The messages at peak that one of the processes runs: all of a broadcast queue, a part of the others."""
    for flow in flows_of(plan, [worker]):
        alone = plan.get(Scope("queue", flow.queue), "broadcast")
        yield flow if alone or processes == 1 else flow._replace(copies=1 / processes)


def alike(plan: Plan, worker: Scope) -> bool:
    """Whether broadcast queues are its whole load: each process has it, so more processes carry no more."""
    loads = [flow for flow in _flows(plan, worker) if flow.runs]
    return bool(loads) and all(plan.get(Scope("queue", flow.queue), "broadcast") for flow in loads)


def _ceiling(plan: Plan, worker: Scope) -> str:
    """The parameter with the busy share of the slots."""
    cheap = pools.pool(plan.text(worker, "pool")).shares_process and plan.written(worker, "pool") is None
    # A reserve of slots must not become a reserve of connections.
    return "busy_at_peak_shared" if cheap and not plan.get(worker, "slot_connections") else "busy_at_peak"


def _by_load(line: _Line, key: str, tuned: Parameters) -> Want:
    busy, fewest = getattr(tuned, key), tuned.fewest_slots
    by_share = _slots_for(line.load, busy)
    small = by_share <= fewest
    because = (
        f"the load is small, and with {counted(fewest, 'slot')} one slow run does not block a queue"
        if small
        else f"the load keeps {figure(line.load, 3)} slots busy at peak, and at most {busy:.0%} of all slots "
        "may be busy"
    )
    origins = (*line.origins, tuned.origin(key), tuned.origin("fewest_slots"))
    limit = Limit.FEWEST if small else Limit.LOAD
    rate, _ = together(line.flows)
    return Want(max(fewest, by_share), because, origins, limit, _least(line.load), _least(line.load), rate)


def _by_wait(plan: Plan, worker: Scope, line: _Line, tuned: Parameters) -> Want | None:
    urgent = most_urgent(plan, worker)
    if urgent is None:
        return None
    seconds, queue = urgent
    peaks = all(plan.find(Scope("task", flow.task), PEAK) for flow in line.flows if flow.rate)
    margin = "wait_margin" if peaks else "wait_margin_without_peak"
    slots = smallest_slots(
        *held(line.flows), Promise(seconds, PROMISED_SHARE, MOST_BUSY, getattr(tuned, margin))
    )
    if slots is None:
        return None
    are = "is" if slots == 1 else "are"
    because = (
        f"{counted(slots, 'slot')} {are} the fewest with which 99 of 100 messages start within "
        f"{duration(seconds)} at peak, the promise of {queue.name}"
    )
    origins = (*line.origins, Derived(queue, "queue_wait_seconds"), tuned.origin(margin))
    kept = smallest_slots(*held(line.flows), Promise(seconds, PROMISED_SHARE, MOST_BUSY)) or slots
    return Want(slots, because, origins, Limit.WAIT, _least(line.load), kept, together(line.flows)[0])


def _least(load: float) -> int:
    return max(1, _slots_for(load, MOST_BUSY))


def _slots_for(load: float, busy: float) -> int:
    """The fewest slots of which this share is busy; 42 / 0.7 is 60, although floats make it a bit more."""
    return math.ceil(load / busy * (1 - _ROUNDING))


def at_mean(plan: Plan, worker: Scope, want: Want, tuned: Parameters) -> int | None:
    """The slots that the mean rates need; None if some are not declared, or no peak differs."""
    count = max(want.processes, 1)
    flows = [*_at_mean(plan, worker, count)]
    if want.limit not in (Limit.WAIT, Limit.LOAD) or not flows or any(flow.undeclared for flow in flows):
        return None
    rate, service = together(flows)
    key = _ceiling(plan, worker)
    slots = max(tuned.fewest_slots, _slots_for(rate * service.mean, getattr(tuned, key)))
    urgent = most_urgent(plan, worker)
    if urgent is not None:
        promise = Promise(urgent[0], PROMISED_SHARE, MOST_BUSY, tuned.wait_margin)
        slots = max(slots, smallest_slots(*held(flows), promise) or 0)
    slots = math.ceil(count * slots / (len(_alongside(plan, worker)) + 1))
    return slots if slots < want.slots else None


def _at_mean(plan: Plan, worker: Scope, processes: int) -> Iterator[Flow]:
    for flow in _flows(plan, worker, processes):
        yield flow._replace(rate=plan.number_if_any(Scope("task", flow.task), MEAN))


def _modest(plan: Plan, worker: Scope, tuned: Parameters) -> Want:
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    computes = bool(tasks) and {plan.text(task, "work") for task in tasks} == {"cpu"}
    key, verb = ("slots_cpu", "compute") if computes else ("slots_io", "wait for other systems")
    slots = getattr(tuned, key)
    are = "is" if slots == 1 else "are"
    safe = f"{counted(slots, 'slot')} {are} a safe number for tasks that {verb}"
    because = f"not all rates are declared, and {safe}"
    return Want(slots, because, (tuned.origin(key),), Limit.UNDECLARED)


def heaviest(plan: Plan, worker: Scope) -> tuple[float, str]:
    """The task that keeps most slots of a worker busy at peak, and how many."""
    flows = _flows(plan, worker)
    return max((flow.runs * flow.service.mean, flow.task) for flow in flows if flow.service is not None)
