"""The number of slots and of processes of each worker.

Decides:
    `worker:NAME/concurrency` (slots of one worker process), `replicas`, and `sized_by`: what decided the
    slots. With the parameter `autoscale`, `autoscale` instead of `concurrency`. `slots_at_mean` if the mean
    rates need fewer slots than the peak.

Because:
    Celery's default is the number of cores of the machine. It does not depend on the load, and it is wrong
    in every container. With declared rates and run times, a worker gets the fewest slots that keep the
    promise of its latency class: 99 of 100 messages start in time at peak. One Celery worker behaves like an
    ideal line with as many servers (Erlang C), to within a few per cent. Waits grow without bound as slots
    fill up, so a reserve stays free. Otherwise the number of slots is a modest one. Workers that consume the
    same queues, and pin nothing, share the slots.

    The slots stay within the memory and cores of a worker and of its hosts, and within `budget`. If a budget
    is too small for all promises, the most urgent workers get their slots first. Every worker gets at least
    the slots that its load keeps busy.

    With `concurrency: auto`, or a variable such as `${CELERY_CONCURRENCY}`, the machine decides. Then no file
    has a number, and policies assume the cores of the declared hosts, or a parameter.

    Autoscaling works with prefork only. A thread pool cannot grow, and its worker exits with an error when it
    must (https://docs.celeryq.dev/en/stable/userguide/workers.html#autoscaling).

Example:
    tasks:
      shop.mail.send: {latency: interactive, runtime: {p50: 300ms, p99: 300ms}, rate: {mean: 5/s, peak: 40/s}}

    worker:shop.interactive.io/concurrency = 18
    worker:shop.interactive.io/replicas = 1

Refuses:
    PC322 autoscale-off-prefork: pin a number of slots, or use prefork.
        fires:
            queues: {q: {}}
            workers: {q: {pool: threads, concurrency: {min: 2, max: 8}}}
        silent:
            queues: {q: {}}
            workers: {q: {pool: threads, concurrency: 8}}
    PC408 autoscale-order: set `min` to at most `max`.
        fires:
            queues: {q: {}}
            workers: {q: {concurrency: {min: 8, max: 2}}}
        silent:
            queues: {q: {}}
            workers: {q: {concurrency: {min: 2, max: 8}}}
    PC982 budget-exceeded: raise the budget, or send less to these workers.
        fires:
            budget: {memory: 1GiB}
            tasks: {shop.a: {rate: 20/s, runtime: {p50: 3s, p99: 3s}}}
        silent:
            budget: {memory: 8GiB}
            tasks: {shop.a: {rate: 20/s, runtime: {p50: 3s, p99: 3s}}}
    PC642 absurd-capacity: correct the rate or the run time, or split the load among several workers.
        fires: tasks: {shop.a: {rate: 1000/s, runtime: {p50: 3s, p99: 3s}}}
        silent: tasks: {shop.a: {rate: 1000/m, runtime: {p50: 3s, p99: 3s}}}

Parameters:
    `busy_at_peak`: the largest share of a worker's slots that is busy at peak; 0.7.
    `busy_at_peak_shared`: the same in a pool that a policy chose and whose slots share a process; 0.35.
    `wait_margin`: the factor on computed waits; 1.1.
    `wait_margin_without_peak`: the same if a task declares no peak rate; 2.0.
    `fewest_slots`: the fewest slots of a worker whose tasks declare rates; 2.
    `most_slots`: the most slots of one worker process; 32.
    `most_slots_shared`: the same in a pool whose slots share a process; 200.
    `runs_per_second`: the most runs per second of a process whose slots share it; 300.0.
    `slots_io`: the slots of a worker whose tasks wait, if not all rates are declared; 4.
    `slots_cpu`: the slots of a worker whose tasks compute, if not all rates are declared; 2.
    `assumed_slots`: the slots that policies assume if the machine or a variable decides them; 4.
    `many_processes`: a worker that needs more processes probably has a wrong declared number; 100.
    `many_slots`: the same for the slots of one process, if replicas are pinned; 1000.
    `autoscale`: whether prefork workers grow from the mean rate to the peak by themselves; false.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.pools import fixed_size
from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import (
    APP,
    MOST_PROCESSES,
    Constant,
    Decision,
    Derived,
    Origin,
    Plan,
    Scope,
)
from policycompiler.plan.lines import Limit
from policycompiler.plan.processes import slots_of
from policycompiler.policies.workers.concurrency.budgets import (
    MEMORY,
    Bound,
    Budget,
    Shape,
    bound,
    shares,
    taken,
)
from policycompiler.policies.workers.concurrency.tuned import NAME, Parameters
from policycompiler.policies.workers.concurrency.unsized import assumed, placed
from policycompiler.policies.workers.concurrency.wanted import Want, alike, at_mean, heaviest, wanted
from policycompiler.quantities import counted, figure
from policycompiler.sizing import Share

__all__ = ["NAME", "Parameters", "apply"]

AUTOSCALE_OFF_PREFORK = error("PC322", "autoscale-off-prefork")
AUTOSCALE_ORDER = error("PC408", "autoscale-order")
ABSURD_CAPACITY = warning("PC642", "absurd-capacity", Profile.MINIMAL)
BUDGET_EXCEEDED = warning("PC982", "budget-exceeded", Profile.MINIMAL)

ROUNDING = 1e-9
MOST_SLOTS = 1_000_000
"""As good as any number: with pinned processes, the wanted slots decide."""
REPLICAS = 1
"""One worker process, unless its slots require more."""


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide slots and processes of every worker that does not pin them."""
    yield from _autoscaling(spec, plan)
    open_workers = []
    for scope in plan.scopes("worker"):
        yield from placed(spec, plan, scope)
        pinned = plan.find(scope, "concurrency") or plan.find(scope, "autoscale")
        left = plan.as_is(APP) and scope.name in spec.workers
        if pinned is None and not left and plan.find(scope, "concurrency_source") is None:
            open_workers.append(scope)
            continue
        if pinned is None:
            yield from assumed(spec, plan, scope, tuned)
        else:
            origin = Derived(scope, pinned.key)
            yield Decision(scope, "sized_by", Limit.PINNED.value, "the workload pins the slots", (origin,))
        if plan.find(scope, "replicas") is None:
            because = "one worker process has all slots"
            yield Decision(scope, "replicas", REPLICAS, because, (Constant("REPLICAS", REPLICAS),))
    yield from _sized(spec, plan, open_workers, tuned)


def _sized(
    spec: Workload, plan: Plan, open_workers: list[Scope], tuned: Parameters
) -> Iterator[Decision | Diagnostic]:
    """The workers whose slots follow from their load."""
    bounds = {worker: bound(plan, worker, tuned) for worker in open_workers}
    wants = {}
    for worker, most in bounds.items():
        want = wanted(plan, worker, tuned, most.slots)
        wants[worker] = (want, _shape(plan, worker, want, most, tuned))
    fixed = [
        (worker, int(plan.number(worker, "replicas")), int(slots_of(plan, worker)))
        for worker in plan.scopes("worker")
        if worker not in wants
    ]
    found, amounts = shares(spec, plan, wants, fixed)
    for worker, (want, shape) in wants.items():
        yield from _slots(plan, worker, (want, shape, bounds[worker]), found[worker.name], amounts, tuned)
    yield from _exceeded(spec, plan, amounts)


def _shape(plan: Plan, worker: Scope, want: Want, most: Bound, tuned: Parameters) -> Shape:
    replicas = plan.get(worker, "replicas")
    if isinstance(replicas, int) and replicas:
        # The processes are pinned, so only what one process has bounds its slots.
        return Shape(MOST_SLOTS if most.limit is Limit.LOAD else most.slots, replicas)
    if want.processes:
        return Shape(most.slots, want.processes)
    fewest = 1
    if pools.pool(plan.text(worker, "pool")).shares_process:
        fewest = max(1, math.ceil(want.rate / tuned.runs_per_second))
    return Shape(most.slots, fewest=fewest)


def _slots(
    plan: Plan,
    worker: Scope,
    sized: tuple[Want, Shape, Bound],
    share: Share,
    amounts: Mapping[Budget, float],
    tuned: Parameters,
) -> Iterator[Decision | Diagnostic]:
    """Slots and processes of a worker."""
    want, shape, most = sized
    processes, each = shape.split(share.slots)
    limit, because, origins = want.limit, want.because, want.origins
    if isinstance(share.short, Budget):
        budget = share.short
        limit = budget.limit
        amount = budget.amount(amounts[budget])
        because = f"{budget.owner} has {amount}, no room for all {want.slots:,} wanted slots"
        origins = (*want.origins, budget.origin)
    elif processes * each < share.slots:
        limit = most.limit
        because, origins = f"{most.because} {counted(most.slots, 'slot')}", most.origins
    yield Decision(worker, "sized_by", limit.value, because, origins)
    least = at_mean(plan, worker, want, tuned)
    if least is not None:
        why = "the mean rates need fewer slots than the peak"
        yield Decision(worker, "slots_at_mean", min(least, share.slots), why, want.origins)
    yield _each(plan, worker, each, processes, (because, origins), tuned)
    if plan.find(worker, "replicas") is not None:
        if each > tuned.many_slots:
            yield _absurd(plan, worker, f"{counted(each, 'slot')} in each process")
        return
    if processes > tuned.many_processes:
        told = f"{counted(processes, 'process')} with {counted(each, 'slot')} each"
        yield _absurd(plan, worker, told, cut=processes > MOST_PROCESSES)
        processes = min(processes, MOST_PROCESSES)
    why, origins = "one worker process has enough slots", (*origins, *most.origins)
    if processes > 1 and shape.fewest == processes:
        why = f"{figure(want.rate, 3)} runs a second are too many for one process, whose slots share a core"
        origins = (*want.origins, tuned.origin("runs_per_second"))
    elif alike(plan, worker):
        why = "each process runs all messages of a broadcast queue, so more processes carry no more of them"
    elif processes > 1:
        why = (
            f"the worker has {counted(share.slots, 'slot')}, and {most.because} {counted(most.slots, 'slot')}"
        )
    yield Decision(worker, "replicas", processes, why, origins)


def _each(
    plan: Plan,
    worker: Scope,
    each: int,
    processes: int,
    why: tuple[str, tuple[Origin, ...]],
    tuned: Parameters,
) -> Decision:
    """The slots of one process, or their bounds."""
    because, origins = why
    least = plan.number_if_any(worker, "slots_at_mean")
    pool = pools.pool(plan.text(worker, "pool"))
    fewest = each if least is None else math.ceil(least / processes)
    if tuned.autoscale and pool.autoscales and pool.processes and fewest < each:
        because = f"the mean rates need {counted(fewest, 'slot')}, and {because}"
        origins = (*origins, Derived(worker, "slots_at_mean"), tuned.origin("autoscale"))
        return Decision(worker, "autoscale", {"min": fewest, "max": each}, because, origins)
    return Decision(worker, "concurrency", each, because, origins)


def _exceeded(spec: Workload, plan: Plan, amounts: Mapping[Budget, float]) -> Iterator[Diagnostic]:
    """Budgets of the app that are too small even for the load; hosts have findings of their own."""
    for budget, amount in amounts.items():
        if budget.host is not None:
            continue
        parts = {
            worker.name: taken(
                spec, plan, worker, int(plan.number(worker, "replicas")), int(slots_of(plan, worker))
            ).get(budget, 0)
            for worker in plan.scopes("worker")
        }
        whole = math.fsum(parts.values())
        if whole <= amount * (1 + ROUNDING):
            continue
        largest = max(parts, key=lambda name: (parts[name], name))
        message = (
            f"the workers take {budget.amount(whole)}, and the budget is {budget.plain(amount)}: "
            f"{budget.plain(whole - amount)} too {'much' if budget.kind == MEMORY else 'many'}; worker "
            f"{largest} takes most, {budget.plain(parts[largest])}"
        )
        help_text = "raise the budget, pin fewer slots, or send less to these workers"
        yield BUDGET_EXCEEDED.at(budget.path, message, help=help_text)


def _autoscaling(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    for name, worker in spec.workers.items():
        slots, path = worker.concurrency, ("workers", name, "concurrency")
        if slots is None or slots.min == slots.max:
            continue
        if slots.min > slots.max:
            message = f"autoscale `min` is {slots.min} slots, more than `max` with {slots.max}"
            yield AUTOSCALE_ORDER.at((*path, "min"), message, help="swap `min` and `max`")
    yield from as_findings(fixed_size(plan), AUTOSCALE_OFF_PREFORK)


def _absurd(plan: Plan, worker: Scope, needs: str, *, cut: bool = False) -> Diagnostic:
    """The finding that the declared load needs an absurd capacity, at the task with the largest load."""
    busy, most = heaviest(plan, worker)
    message = f"worker {worker.name} needs {needs}: {most} keeps {busy:,.0f} slots busy at peak"
    if cut:
        message += f"; a plan has at most {MOST_PROCESSES:,} processes for each worker"
    path: SpecPath = ("tasks", most, "rate")
    related = (Related(("tasks", most, "runtime"), "its run time"),)
    help_text = f"check the rate and the run time of {most}, or split the load among several workers"
    return ABSURD_CAPACITY.at(path, message, help=help_text, related=related)
