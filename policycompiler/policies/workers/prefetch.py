"""How many messages a worker takes off its queues ahead of its slots.

Decides:
    `worker:NAME/prefetch_multiplier`, messages for each slot, and `disable_prefetch` where it helps.

Because:
    A message that one worker holds in reserve waits behind that worker's running tasks while another
    worker may be idle. Only for very short tasks does the trip to the broker cost more than that, and only
    a reserve that is done within the promise of each queue breaks none
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#prefetch-limits). A worker has one reserve
    for all its queues. With one message a slot, a worker still holds one behind each run that is acknowledged
    early. On Redis, `--disable-prefetch` of Celery 5.6 takes a message only when a slot is free; on other
    brokers it does nothing. It is set where runs are known to be long and another process could take what
    waits behind them.

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/prefetch_multiplier = 1

Refuses:
    PC327 prefetch-long: remove the pin, or give the long task a queue and a worker of its own.
        fires:
            tasks: {shop.a: {queue: q, runtime: 20s}}
            workers: {q: {options: {prefetch_multiplier: 4}}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 2s}}
            workers: {q: {options: {prefetch_multiplier: 4}}}
    PC328 prefetch-mixed-worker: give the short tasks a worker of their own, where their rate is high.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100ms}, shop.b: {queue: r, runtime: 20s}}
            workers: {w: {queues: [q, r]}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 100ms}, shop.b: {queue: r, runtime: 20s}}
            workers: {v: {queues: [q]}, w: {queues: [r]}}
    PC329 prefetch-short: remove the pin.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100ms}}
            workers: {q: {options: {prefetch_multiplier: 1}}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 2s}}
            workers: {q: {options: {prefetch_multiplier: 1}}}
    PC330 disable-prefetch-rabbit: remove it; one message a slot and late acknowledgement leave no reserve.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {}}
            workers: {q: {options: {disable_prefetch: true}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {disable_prefetch: true}}}
    PC412 prefetch-unlimited: set a number, 1 where in doubt.
        fires:
            queues: {q: {}}
            workers: {q: {options: {prefetch_multiplier: 0}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {prefetch_multiplier: 1}}}

Parameters:
    `short_run_seconds`: the longest run that counts as short; 0.5.
    `short_tasks_a_slot`: the messages for each slot of a worker of short tasks; 4.
    `long_run_seconds`: a run longer than this keeps what is in reserve waiting for too long; 10.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, Remove, SpecPath, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.prefetch import unlimited_prefetch
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Scope

NAME = "prefetch"

PREFETCH_LONG = warning("PC327", "prefetch-long")
PREFETCH_MIXED_WORKER = info("PC328", "prefetch-mixed-worker", Profile.STRICT)
PREFETCH_SHORT = info("PC329", "prefetch-short", Profile.STRICT)
DISABLE_PREFETCH_RABBIT = warning("PC330", "disable-prefetch-rabbit")
PREFETCH_UNLIMITED = warning("PC412", "prefetch-unlimited")

ONE_A_SLOT = 1
"""The least there is without late acknowledgement; with it, a worker holds no more than it runs."""
FIRST_CELERY_WITHOUT_PREFETCH = (5, 6)
"""`--disable-prefetch` is new in it."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    short_run_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        0.5, description="above it, a trip to the broker of some milliseconds costs next to nothing"
    )
    short_tasks_a_slot: Annotated[int, Field(ge=1, le=1000)] = Field(
        4, description="messages for each slot of short tasks; Celery's own default, made for them"
    )
    long_run_seconds: Annotated[float, Field(gt=0, le=86400)] = Field(
        10.0, description="a run longer than this keeps what is in reserve waiting for too long"
    )


class _Runs(NamedTuple):
    """What is known of a worker's runs: the longest, of what, and the closest promise of its queues."""

    seconds: float
    task: Scope
    promise: float
    queue: Scope


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """One message a slot, more where every task is known to be short beside its queue's promise."""
    del spec
    processes = {scope: _processes(plan, scope) for scope in plan.scopes("worker")}
    told: set[tuple[str, SpecPath]] = set()
    for scope in plan.scopes("worker"):
        runs = _runs(plan, scope, plan.texts(scope, "queues"))
        short = _short(runs, tuned)
        pinned = plan.find(scope, "prefetch_multiplier")
        if pinned is not None:
            yield from _once(told, _objections(plan, scope, runs, tuned))
        elif short:
            because = (
                "all its tasks are short: the trip to the broker costs more than a reserve, "
                f"which is done within the promised {runs.promise:g} s"
            )
            origins: tuple[Origin, ...] = (
                Derived(runs.task, "runtime_p99_seconds"),
                Derived(runs.queue, "queue_wait_seconds"),
                _parameter("short_run_seconds", tuned.short_run_seconds),
                _parameter("short_tasks_a_slot", tuned.short_tasks_a_slot),
            )
            yield Decision(scope, "prefetch_multiplier", tuned.short_tasks_a_slot, because, origins)
        else:
            because = "a message held in reserve waits behind running tasks while another worker may be idle"
            origins = (Constant("ONE_A_SLOT", ONE_A_SLOT),)
            yield Decision(scope, "prefetch_multiplier", ONE_A_SLOT, because, origins)
            yield from _mixed(plan, scope, tuned)
        if plan.find(scope, "disable_prefetch") is None:
            if not short and (pinned is None or pinned.value == ONE_A_SLOT):
                yield from _without_reserve(plan, scope, processes[scope], tuned)
        elif plan.value(scope, "disable_prefetch") and not plan.broker.disables_prefetch:
            yield from _once(told, [_does_nothing(plan, scope)])
    yield from as_findings(unlimited_prefetch(plan), PREFETCH_UNLIMITED)


def _runs(plan: Plan, scope: Scope, names: list[str]) -> _Runs:
    """Of the queues of these names; without end where nothing is declared."""
    tasks = sorted({name for queue in names for name in plan.texts(Scope("queue", queue), "tasks")})
    runs = [
        (math.inf if p99 is None else p99, task)
        for task in (Scope("task", name) for name in tasks)
        if not plan.value(task, "external")
        for p99 in (plan.number_if_any(task, "runtime_p99_seconds"),)
    ]
    queues = [Scope("queue", name) for name in names]
    promises = [(plan.number(queue, "queue_wait_seconds"), queue) for queue in queues]
    return _Runs(*max(runs, default=(math.inf, scope)), *min(promises, default=(0, scope)))


def _short(runs: _Runs, tuned: Parameters) -> bool:
    return runs.seconds <= tuned.short_run_seconds and runs.seconds * tuned.short_tasks_a_slot <= runs.promise


def _processes(plan: Plan, scope: Scope) -> int:
    """How many processes could take a message of this worker's queues."""
    names = {
        name for queue in plan.texts(scope, "queues") for name in plan.texts(Scope("queue", queue), "workers")
    }
    return sum(int(plan.number(Scope("worker", name), "replicas")) for name in names)


def _without_reserve(plan: Plan, scope: Scope, processes: int, tuned: Parameters) -> Iterator[Decision]:
    able = plan.broker.disables_prefetch
    if not able or plan.version(APP, "celery_version") < FIRST_CELERY_WITHOUT_PREFETCH or processes <= 1:
        return
    early = [
        (plan.number_if_any(task, "runtime_p99_seconds") or 0, task)
        for task in (Scope("task", name) for name in plan.texts(scope, "tasks"))
        if not plan.value(task, "options.acks_late")
    ]
    seconds, task = max(early, default=(0, scope))
    if seconds > tuned.long_run_seconds:
        because = (
            f"{task.name} may run {seconds:g} s and is acknowledged early: what a worker holds behind it "
            "would wait while another process is idle"
        )
        origins = (
            Derived(task, "runtime_p99_seconds"),
            Derived(task, "options.acks_late"),
            Derived(APP, "broker_transport"),
            Derived(APP, "celery_version"),
            _parameter("long_run_seconds", tuned.long_run_seconds),
        )
        yield Decision(scope, "disable_prefetch", value=True, because=because, origins=origins)


def _objections(plan: Plan, scope: Scope, runs: _Runs, tuned: Parameters) -> Iterator[Diagnostic]:
    multiplier = plan.number(scope, "prefetch_multiplier")
    path = _place(plan, scope, "prefetch_multiplier")
    without = plan.get(scope, "disable_prefetch") and plan.broker.disables_prefetch
    declared = [
        (p99, task)
        for task in (Scope("task", name) for name in plan.texts(scope, "tasks"))
        if (p99 := plan.number_if_any(task, "runtime_p99_seconds")) is not None
    ]
    seconds, task = max(declared, default=(0, scope))
    if multiplier > ONE_A_SLOT and seconds > tuned.long_run_seconds and not without:
        message = (
            f"worker {scope.name} holds {multiplier:g} messages a slot, and {task.name} may run {seconds:g} s"
            f": the last may wait {multiplier * seconds:g} s there while another worker is idle"
        )
        related = (Related(("tasks", task.name, "runtime"), f"p99 {seconds:g} s"),)
        help_text = "remove the pin (the compiler then sets 1), or give the long task a worker of its own"
        yield PREFETCH_LONG.at(path, message, help=help_text, related=related)
    elif multiplier == ONE_A_SLOT and _short(runs, tuned):
        message = (
            f"all tasks of worker {scope.name} are done within {runs.seconds:g} s, and with one message a "
            "slot each waits for a trip to the broker"
        )
        help_text = f"remove the pin; the compiler then sets {tuned.short_tasks_a_slot}"
        yield PREFETCH_SHORT.at(path, message, help=help_text)


def _mixed(plan: Plan, scope: Scope, tuned: Parameters) -> Iterator[Diagnostic]:
    """Queues of one worker that would have a reserve of their own, beside some that must not."""
    own = {queue: _runs(plan, scope, [queue]) for queue in plan.texts(scope, "queues")}
    short = [queue for queue, runs in own.items() if _short(runs, tuned)]
    long = [queue for queue, runs in own.items() if tuned.long_run_seconds < runs.seconds < math.inf]
    if short and long:
        message = (
            f"one reserve serves the short tasks of {short[0]} and the long ones of {long[0]}: it is one "
            f"message a slot, which costs {short[0]} a trip to the broker for each task"
        )
        path: SpecPath = ("workers", scope.name, "queues")
        yield PREFETCH_MIXED_WORKER.at(path, message, help=f"give {short[0]} a worker of its own")


def _does_nothing(plan: Plan, scope: Scope) -> Diagnostic:
    path = _place(plan, scope, "disable_prefetch")
    transport = plan.value(APP, "broker_transport")
    message = f"`disable_prefetch` works on Redis only; on {transport} it does nothing"
    help_text = "remove it; one message a slot and late acknowledgement leave no reserve"
    return DISABLE_PREFETCH_RABBIT.at(path, message, help=help_text, fix=(Remove(path),))


def _once(told: set[tuple[str, SpecPath]], findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """What is pinned for all workers is told for one of them."""
    for finding in findings:
        if (finding.code, finding.path) not in told:
            told.add((finding.code, finding.path))
            yield finding


def _place(plan: Plan, scope: Scope, key: str) -> SpecPath:
    return plan.written(scope, key) or ("workers", scope.name)


def _parameter(key: str, value: float) -> Parameter:
    return Parameter(("parameters", NAME, key), value)
