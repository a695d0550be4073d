"""Queues and processes of tasks that call a shared dependency.

Decides:
    `dependency:NAME/pauses` and `processes`; `task:NAME/guard_failures` for tasks that call one with a
    breaker.

Because:
    While a breaker is open, a message that a worker fetches is only parked. If every task of a queue calls
    the dependency, workers stop consuming the queue instead, and its messages stay in their order. The
    default queue also gets tasks that nobody declared, and those of Celery, so it is never paused.

    A run that waits for its turn holds a slot. With no more slots than calls in the longest wait, no run has
    to be parked. Other tasks on these slots wait too, so tasks with a rate belong in queues of their own.

    Celery's own `rate_limit` counts in each worker. With a backlog of some 50 messages, it falls to about one
    task a second (celery/celery#5927).

Example:
    dependencies: {stripe: {rate: 100/s, breaker: {on: [ConnectionError]}}}
    tasks: {shop.charge: {queue: payments, calls: [stripe]}}

    dependency:stripe/pauses = ["payments"]
    task:shop.charge/guard_failures = {"stripe": ["ConnectionError"]}

Refuses:
    PC992 slots-over-rate: pin fewer slots, or declare a longer `hold`.
        fires:
            dependencies: {stripe: {rate: 1/s, hold: 2s}}
            tasks: {shop.a: {queue: q, calls: [stripe]}}
            workers: {q: {concurrency: 9}}
        silent:
            dependencies: {stripe: {rate: 1/s, hold: 2s}}
            tasks: {shop.a: {queue: q, calls: [stripe]}}
            workers: {q: {concurrency: 2}}
    PC993 rate-shared-queue: give the tasks that call it a queue of their own.
        fires:
            dependencies: {stripe: {rate: 10/s}}
            tasks: {shop.a: {queue: q, calls: [stripe]}, shop.b: {queue: q}}
        silent:
            dependencies: {stripe: {rate: 10/s}}
            tasks: {shop.a: {queue: q, calls: [stripe]}, shop.b: {queue: p}}
    PC936 rate-below-traffic: raise the rate of the dependency, or send fewer messages.
        fires:
            dependencies: {stripe: {rate: 10/s}}
            tasks: {shop.a: {queue: q, calls: [stripe], rate: 20/s, runtime: 100ms}}
        silent:
            dependencies: {stripe: {rate: 10/s}}
            tasks: {shop.a: {queue: q, calls: [stripe], rate: 5/s, runtime: 100ms}}
    PC994 rate-limit-collapses: declare a dependency with a rate, or lower the limit to 1/s.
        fires: tasks: {shop.a: {options: {rate_limit: 10/s}}}
        silent: tasks: {shop.a: {options: {rate_limit: 1/s}}}

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, info, warning
from policycompiler.hazards.pace import limit_on, most_held
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.plan.processes import paced_slots, slots_of
from policycompiler.quantities import counted, duration, figure, written

NAME = "shared-calls"

SLOTS_OVER_RATE = info("PC992", "slots-over-rate")
RATE_SHARED_QUEUE = warning("PC993", "rate-shared-queue")
RATE_LIMIT_COLLAPSES = warning("PC994", "rate-limit-collapses")
RATE_BELOW_TRAFFIC = warning("PC936", "rate-below-traffic")

_THOUSAND = 1000
ANY_FAILURE = "Exception"
"""Without a list, every failure counts."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """What each dependency does to queues and workers."""
    default = plan.get(APP, "task_default_queue")
    for scope in plan.scopes("dependency"):
        tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
        queues = sorted({plan.text(task, "queue") for task in tasks})
        names = set(plan.texts(scope, "tasks"))
        only = [name for name in queues if set(plan.texts(Scope("queue", name), "tasks")) <= names]
        alone = [name for name in only if name != default]
        if plan.find(scope, "breaker") is not None:
            yield _pauses(scope, alone, tasks)
        workers = sorted({name for task in tasks for name in plan.texts(task, "workers")})
        yield _processes(plan, scope, [Scope("worker", name) for name in workers])
        if plan.find(scope, "rate_per_second") is not None:
            yield from _rate(plan, scope, workers, names)
    yield from _failures(spec, plan)
    yield from _collapsing(plan)


def _pauses(scope: Scope, queues: list[str], tasks: list[Scope]) -> Decision:
    because = "all their tasks call it, so their messages can wait in the queue"
    if not queues:
        because = "each of its queues has, or may get, tasks that do not call it"
    return Decision(scope, "pauses", [*queues], because, tuple(Derived(task, "queue") for task in tasks))


def _processes(plan: Plan, scope: Scope, workers: list[Scope]) -> Decision:
    """How many processes share the rate: each calls from its parent or its children."""
    count = sum(int(plan.number(worker, "replicas") * slots_of(plan, worker)) for worker in workers)
    origins: tuple[Origin, ...] = tuple(Derived(worker, "replicas") for worker in workers)
    because = "without the store each process calls it at its share of the rate"
    return Decision(scope, "processes", max(1, count), because, origins or (Derived(scope, "tasks"),))


def _rate(plan: Plan, scope: Scope, workers: list[str], callers: set[str]) -> Iterator[Diagnostic]:
    rate, hold = plan.number(scope, "rate_per_second"), plan.number(scope, "hold_seconds")
    path: SpecPath = ("dependencies", scope.name, "rate")
    yield from _traffic(plan, scope, rate, path)
    for worker in (Scope("worker", name) for name in workers):
        slots = slots_of(plan, worker) * plan.number(worker, "replicas")
        pin = plan.written(worker, "concurrency") or plan.written(worker, "autoscale")
        paced = paced_slots(plan, worker)
        if pin is not None and paced is not None and slots > paced[0]:
            fitting = paced[0]
            message = (
                f"worker {worker.name} has {slots:g} slots, and {scope.name} allows {rate:g} calls a second: "
                f"with more than {fitting}, runs wait longer than {duration(hold)} for their turn, and are "
                "parked"
            )
            help_text = f"{_fewer(plan, worker, fitting)}, or declare `hold: {_hold(slots, rate)}`"
            yield SLOTS_OVER_RATE.at(pin, message, help=help_text, related=(Related(path, "the rate"),))
        others = [name for name in plan.texts(worker, "tasks") if name not in callers]
        if others:
            caller = min(callers & set(plan.texts(worker, "tasks")), default=min(callers))
            message = (
                f"runs of {caller} wait in their slots for their turn to call {scope.name}, and {others[0]} "
                f"waits behind them on worker {worker.name}"
            )
            where: SpecPath = plan.written(Scope("task", caller), "queue") or ("tasks", caller, "calls")
            yield RATE_SHARED_QUEUE.at(
                where,
                message,
                help=f"give the tasks that call {scope.name} a queue and a worker of their own",
                related=(Related(path, "the rate"),),
            )


def _fewer(plan: Plan, worker: Scope, fitting: int) -> str:
    """What to pin so that all processes together have no more slots."""
    processes = int(plan.number(worker, "replicas"))
    if processes == 1:
        return f"pin {counted(fitting, 'slot')}"
    if processes > fitting:
        return f"run {counted(fitting, 'process')} with 1 slot each"
    return f"pin {counted(fitting // processes, 'slot')} in each process"


def _hold(slots: float, rate: float) -> str:
    """The wait in which so many runs get their turn, as a workload writes it; rounded up."""
    return written(math.ceil(slots / rate * _THOUSAND) / _THOUSAND)


def _traffic(plan: Plan, scope: Scope, rate: float, path: SpecPath) -> Iterator[Diagnostic]:
    """More runs on average than calls are allowed."""
    tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
    runs = {task: plan.number_if_any(task, "rate_mean_per_second") or 0 for task in tasks}
    whole = sum(runs.values())
    if whole <= rate:
        return
    busiest = max(tasks, key=lambda task: runs[task])
    message = (
        f"the tasks that call {scope.name} run {figure(whole, 3)} times a second on average, and it allows "
        f"{figure(rate, 3)} calls: their backlog grows without end"
    )
    where = plan.written(busiest, "rate_mean_per_second")
    related = (Related(where, "most of them"),) if where is not None else ()
    yield RATE_BELOW_TRAFFIC.at(path, message, help="raise the rate, or send fewer", related=related)


def _failures(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Which exceptions count: those of the breaker, else those of the retries, else every one."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        called = [each for each in task.calls or () if plan.find(Scope("dependency", each), "breaker")]
        if not called or plan.value(scope, "external"):
            continue
        found = {each: _failures_of(spec, plan, scope, each) for each in called}
        value: dict[str, Value] = {each: [*sorted(set(names))] for each, (names, _, _) in found.items()}
        because = "; ".join(dict.fromkeys(why for _, why, _ in found.values()))
        origins = tuple(dict.fromkeys(origin for _, _, origin in found.values()))
        yield Decision(scope, "guard_failures", value, because, origins)


def _failures_of(spec: Workload, plan: Plan, task: Scope, dependency: str) -> tuple[list[str], str, Origin]:
    """The exceptions of a task that are failures of one dependency, why, and what says so."""
    breaker = spec.dependencies[dependency].breaker
    if breaker is not None and breaker.on is not None:
        return breaker.on, "the breaker names them", Written(("dependencies", dependency, "breaker", "on"))
    retried = plan.get(task, "options.autoretry_for")
    if isinstance(retried, list) and retried:
        because = "what is retried is a failure that may pass"
        return [str(each) for each in retried], because, Derived(task, "options.autoretry_for")
    because = "neither the breaker nor the retries name exceptions"
    return [ANY_FAILURE], because, Constant("ANY_FAILURE", ANY_FAILURE)


def _collapsing(plan: Plan) -> Iterator[Diagnostic]:
    """Rate limits of Celery that starve a backlog; one finding for each limit that is written."""
    told: dict[SpecPath, list[str]] = {}
    limits: dict[SpecPath, Value] = {}
    for task in plan.scopes("task"):
        limit = limit_on(plan, task)
        if limit is None or limit.apart >= 1 or plan.value(task, "external"):
            continue
        path = plan.written(limit.origin.scope, limit.origin.key)
        workers = [Scope("worker", name) for name in plan.texts(task, "workers")]
        # A worker that holds one message at a time adds one timer at a time.
        if path is None or (workers and all(most_held(plan, each) == 1 for each in workers)):
            continue
        told.setdefault(path, []).append(task.name)
        limits[path] = limit.value
    for path, names in told.items():
        others = f" and {counted(len(names) - 1, 'other task')}, each" if names[1:] else ""
        message = (
            f"with a backlog, Celery runs {names[0]}{others} about once a second, not {limits[path]}: each "
            "waiting message adds a timer, and a worker serves ten of them a second"
        )
        help_text = f"declare a dependency with `rate: …`, let the task call it, and remove `{path[-1]}`"
        yield RATE_LIMIT_COLLAPSES.at(path, message, help=help_text)
