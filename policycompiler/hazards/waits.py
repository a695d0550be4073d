"""Workers whose messages wait longer than their queues promise: too few slots, long neighbors, bursts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.hazards.load import overloaded, pin_slots
from policycompiler.hazards.needs import BUDGETS, budget_path, chosen_slots, enough, enough_calls
from policycompiler.hazards.schedule_bursts import busy_slots, crowded_minutes
from policycompiler.model.classes import LATENCY_CLASSES
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import (
    PROMISED_SHARE,
    Flow,
    Limit,
    WorkerLine,
    at_once,
    held,
    most_urgent,
    sized,
    together,
    worker_lines,
)
from policycompiler.quantities import counted, duration, figure
from policycompiler.sizing import last_start_seconds, slots_for_burst, smallest_slots

_PINS = ("concurrency", "autoscale", "replicas")
LEAST_SAVED = 2
"""A separate queue is worth a finding if it saves so many slots, and a quarter of them."""
SAVED_SHARE = 0.25
_MOMENT_SECONDS = 0.01


def waits(plan: Plan) -> Iterator[Hazard]:
    """All of them; a worker with more load than slots is told once."""
    lines = worker_lines(plan)
    told = {worker.name for found in overloaded(plan) for worker in found.about}
    yield from long_neighbors(plan, lines)
    yield from unkept_promises(plan, [line for line in lines if line.worker not in told])
    yield from late_bursts(plan, lines)
    yield from crowded_minutes(plan, lines)


def unkept_promises(plan: Plan, lines: Sequence[WorkerLine]) -> Iterator[Hazard]:
    """Lines of workers that do not keep the promise of their most urgent queue at peak."""
    every = worker_lines(plan)
    told: set[tuple[str, ...]] = set()
    for each in sized(lines):
        line, promise = each.line, each.promise
        if line is None or promise is None or not line.rate or promise.holds(line):
            continue
        worker = Scope("worker", each.worker)
        seconds, queue = most_urgent(plan, worker) or (promise.seconds, worker)
        group = (queue.name, *sorted((each.worker, *each.beside)))
        if group in told:
            continue
        told.add(group)
        promised, who = f"{queue.name} promises {duration(seconds)}", _named((each.worker, *each.beside))
        wait = line.wait_quantile(PROMISED_SHARE)
        if line.utilization >= 1:
            have = "have" if each.beside else "has"
            message = f"at peak the load keeps {figure(line.load, 3)} slots busy, and {who} {have} "
            message += f"{line.slots:,}, so the backlog grows; {promised}"
        elif wait <= seconds:
            message = f"at peak 1 of 100 messages of {who} waits about {_wait(wait)}, and {promised}: "
            message += (
                f"{line.utilization:.0%} of the slots are busy, and little more traffic breaks the promise"
            )
        else:
            message = f"at peak 1 of 100 messages of {who} waits longer than {_wait(wait)}, and {promised}"
        settings = (
            *((worker, key) for key in (*_PINS, "sized_by") if plan.find(worker, key)),
            (queue, "queue_wait_seconds"),
            *_facts(each.flows),
        )
        about = (worker, *(Scope("worker", name) for name in each.beside))
        path = _place(plan, each)
        yield Hazard("promise-unkept", settings, message, _remedy(plan, every, each), path, about=about)


def _remedy(plan: Plan, lines: Sequence[WorkerLine], each: WorkerLine) -> str:
    """How many slots keep the promise, or what they take of what bounds them."""
    slots, line, promise = each.fewest_slots, each.line, each.promise
    if slots is None:
        return "no number of slots keeps a promise that short: choose a latency class that waits longer"
    # Too busy slots keep no promise, however long it is.
    busy = line is not None and promise is not None and line.utilization > promise.ceiling
    longer = "" if busy else ", or choose a latency class that waits longer"
    if each.limited_by in BUDGETS:
        budget = enough(plan, lines, each)
        return f"raise `{'.'.join(map(str, budget.path))}` to `{budget.amount}`{longer}"
    if each.limited_by is Limit.RATE and (calls := enough_calls(plan, each)):
        return f"{' and '.join(calls)}{longer}"
    workers = [Scope("worker", name) for name in (each.worker, *each.beside)]
    pin = pin_slots(plan, workers, slots)
    if any(plan.written(worker, key) for worker in workers for key in ("concurrency", "autoscale")):
        pin += ", or remove the pin" if busy else ", remove the pin"
    return f"{pin}{longer}"


def _place(plan: Plan, each: WorkerLine) -> SpecPath:
    """What keeps a worker from more slots."""
    worker = Scope("worker", each.worker)
    pins = (plan.written(worker, key) for key in _PINS)
    pin = next((path for path in pins if path is not None), None)
    if each.limited_by in BUDGETS:
        return budget_path(plan, each)
    return pin or ("workers", each.worker)


def long_neighbors(plan: Plan, lines: Sequence[WorkerLine]) -> Iterator[Hazard]:
    """Tasks whose long runs make the other tasks of their queues wait, or cost many slots."""
    told: set[str] = set()
    for each in sized(lines):
        line, promise = each.line, each.promise
        if line is None or promise is None or len(each.flows) == 1 or not line.rate:
            continue
        long = max(
            each.flows, key=lambda flow: (flow.runs * flow.service.square if flow.service else 0, flow.task)
        )
        others = [flow for flow in each.flows if flow.task != long.task]
        if long.service is None or long.service.mean <= together(others)[1].mean:
            continue
        urgent = most_urgent(plan, Scope("worker", each.worker))
        # A pin decides the slots: then the fewest that keep the promises count, else those that are chosen.
        count = _chosen if each.limited_by is Limit.WAIT else _fewest
        alone, apart = (
            count(plan, each, others, _promised(plan, others)),
            count(plan, each, [long], _own(plan, long)),
        )
        needed = count(plan, each, each.flows, each.promise_seconds)
        if urgent is None or needed is None or apart is None or alone is None:
            continue
        total = alone + apart
        breaks = not promise.holds(line) and line.slots >= total
        costs = each.limited_by is Limit.WAIT and (
            needed - total >= LEAST_SAVED and needed - total >= SAVED_SHARE * needed
        )
        if not (breaks or costs) or long.task in told:
            continue
        told.add(long.task)
        task, seconds, queue = Scope("task", long.task), *urgent
        longest = plan.number_if_any(task, "runtime_p99_seconds") or long.service.mean
        neighbor = max(others, key=lambda flow: (flow.runs, flow.task))
        own = "queue" if long.queue == neighbor.queue else "worker"
        who, need = _named((each.worker, *each.beside)), "need" if each.beside else "needs"
        message = (
            f"a run of {long.task} takes up to {duration(longest)} (p99), and messages of {neighbor.task} "
            f"wait behind it: {who} {need} {counted(needed, 'slot')} to keep the promise of {queue.name}, "
            f"{duration(seconds)}; with a {own} of its own for {long.task}, {alone} and {apart} slots suffice"
        )
        settings = ((task, "queue"), *_facts([long]), (queue, "queue_wait_seconds"))
        pin = plan.written(task, "queue")
        path: SpecPath = pin or ("tasks", long.task, "runtime")
        related = (Related(("tasks", neighbor.task), "its neighbor"),)
        help_text = f"give {long.task} a {own} of its own"
        yield Hazard("long-neighbor", settings, message, help_text, path, related, about=(task,))


def _chosen(plan: Plan, each: WorkerLine, flows: Sequence[Flow], seconds: float | None) -> int | None:
    """The slots that the compiler would give these messages alone; None if nothing says so."""
    if seconds is None or not held(flows)[0]:
        return None
    return chosen_slots(plan, Scope("worker", each.worker), flows, seconds)


def _fewest(plan: Plan, each: WorkerLine, flows: Sequence[Flow], seconds: float | None) -> int | None:
    """The fewest slots that keep a promise to these messages alone; None if nothing says so."""
    del plan
    rate, service = held(flows)
    if seconds is None or each.promise is None or not rate:
        return None
    return smallest_slots(rate, service, each.promise._replace(seconds=seconds))


def _promised(plan: Plan, flows: Sequence[Flow]) -> float | None:
    """The shortest wait that the queues of these messages promise."""
    waits = [plan.number_if_any(Scope("queue", flow.queue), "queue_wait_seconds") for flow in flows]
    return min((wait for wait in waits if wait is not None), default=None)


def _own(plan: Plan, flow: Flow) -> float | None:
    """The wait that a queue of its own would promise a task: that of its own class.

    A queue promises the wait of the most urgent class of its tasks. The seconds are those of another queue
    with the class of the task, else the usual ones.
    """
    latency = plan.value(Scope("task", flow.task), "latency")
    known = [
        plan.number_if_any(queue, "queue_wait_seconds")
        for queue in plan.scopes("queue")
        if plan.get(queue, "latency") == latency
    ]
    usual = LATENCY_CLASSES.get(str(latency))
    found = next((seconds for seconds in known if seconds is not None), None)
    if found is None and usual is not None:
        found = usual.queue_wait_p99_seconds
    return _promised(plan, [flow]) if found is None else found


def late_bursts(plan: Plan, lines: Sequence[WorkerLine]) -> Iterator[Hazard]:
    """Tasks whose declared burst starts later than their queue promises."""
    told: set[tuple[str, str]] = set()
    for each in sized(lines):
        for flow in each.flows:
            task, queue = Scope("task", flow.task), Scope("queue", flow.queue)
            burst = plan.number_if_any(task, "burst")
            seconds = plan.number_if_any(queue, "queue_wait_seconds")
            if burst is None or flow.service is None or seconds is None or each.busy >= 1:
                continue
            takers = [other for other in lines if flow.queue in other.queues]
            # Each process runs all messages of a broadcast queue.
            alone = bool(plan.get(queue, "broadcast"))
            if alone:
                free = min(takers, key=lambda other: other.slots_each * (1 - other.busy))
                slots, busy = free.slots_each, free.slots_each * free.busy
            else:
                slots = sum(other.slots for other in takers)
                busy = math.fsum(other.slots * other.busy for other in takers)
            line = at_once(flow.service, slots, busy)
            last = last_start_seconds(burst, line)
            if last <= seconds or not slots or (flow.task, flow.queue) in told:
                continue
            told.add((flow.task, flow.queue))
            whose = f"{'each process of ' * alone}{_named([other.worker for other in takers])}"
            message = (
                f"{counted(burst, 'message')} of {flow.task} at once: the last one starts after about "
                f"{_wait(last)} on the {counted(slots, 'slot')} of {whose}{busy_slots(line)}, and "
                f"{flow.queue} promises {duration(seconds)}"
            )
            enough = counted(slots_for_burst(burst, line, seconds), "slot")
            help_text = f"{enough} start all of them in time; or choose a latency class that waits longer"
            settings = ((task, "burst"), *_facts([flow]), (queue, "queue_wait_seconds"))
            path: SpecPath = ("tasks", flow.task, "burst")
            yield Hazard("burst-not-drained", settings, message, help_text, path, about=(task,))


def _facts(flows: Sequence[Flow]) -> tuple[tuple[Scope, str], ...]:
    """The declared facts behind a line."""
    keys = ("rate_mean_per_second", "runtime_p99_seconds")
    return tuple((Scope("task", name), key) for name in sorted({flow.task for flow in flows}) for key in keys)


def _named(workers: Sequence[str]) -> str:
    first, *others = sorted(workers)
    if not others:
        return f"worker {first}"
    return f"workers {', '.join([first, *others[:-1]])} and {others[-1]}"


def _wait(seconds: float) -> str:
    """A wait for people: two digits."""
    if math.isinf(seconds):
        return "endless"
    return duration(float(f"{max(seconds, _MOMENT_SECONDS):.2g}"))
