"""How many messages a worker prefetches.

Decides:
    `worker:NAME/prefetch_multiplier`, the messages for each slot, and `disable_prefetch` where it helps.

Because:
    A prefetched message waits for the runs of its worker, even if another worker is idle. Only for very
    short tasks is this wait cheaper than one round trip to the broker for each message. Prefetched messages
    must also start within the latency target of each queue
    (https://docs.celeryq.dev/en/stable/userguide/optimizing.html#prefetch-limits). A worker has one
    prefetch limit for all its queues.

    With one message a slot, a worker still prefetches one message behind each run that is acknowledged
    early. On Redis, `--disable-prefetch` of Celery 5.6 fetches a message only when a slot is free. On other
    brokers it has no effect. This policy sets it if declared runs are long and another worker process could
    run the waiting messages. It also sets it if KEDA counts the waiting messages and scales the worker. KEDA
    cannot see a message that a worker has fetched, and would start no process for it.

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/prefetch_multiplier = 1

Refuses:
    PC327 prefetch-long: remove the pin, or give the long task a separate queue and worker.
        fires:
            tasks: {shop.a: {queue: q, runtime: 20s}}
            workers: {q: {options: {prefetch_multiplier: 4}}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 2s}}
            workers: {q: {options: {prefetch_multiplier: 4}}}
    PC328 prefetch-mixed-worker: give the short tasks a separate worker if their rate is high.
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
    PC330 disable-prefetch-rabbit: remove it; one message a slot with late acknowledgment prefetches nothing.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            queues: {q: {}}
            workers: {q: {options: {disable_prefetch: true}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {disable_prefetch: true}}}
    PC412 prefetch-unlimited: set a number; if in doubt, 1.
        fires:
            queues: {q: {}}
            workers: {q: {options: {prefetch_multiplier: 0}}}
        silent:
            queues: {q: {}}
            workers: {q: {options: {prefetch_multiplier: 1}}}

Parameters:
    `short_run_seconds`: the longest run that counts as short; 0.5.
    `short_tasks_a_slot`: the messages for each slot of a worker of short tasks; 4.
    `long_run_seconds`: a run longer than this delays prefetched messages for too long; 10.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, Related, Remove, SpecPath, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.prefetch import unlimited_prefetch
from policycompiler.knowledge.kubernetes import KEDA
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.policy import deployed, parameter
from policycompiler.quantities import duration

NAME = "prefetch"

PREFETCH_LONG = warning("PC327", "prefetch-long")
PREFETCH_MIXED_WORKER = info("PC328", "prefetch-mixed-worker", Profile.STRICT)
PREFETCH_SHORT = info("PC329", "prefetch-short", Profile.STRICT)
DISABLE_PREFETCH_RABBIT = warning("PC330", "disable-prefetch-rabbit")
PREFETCH_UNLIMITED = warning("PC412", "prefetch-unlimited")

ONE_A_SLOT = 1
"""The smallest multiplier. With late acknowledgment a worker then prefetches nothing."""
FIRST_CELERY_WITHOUT_PREFETCH = (5, 6)
"""The first version with `--disable-prefetch`."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    short_run_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        0.5, description="longest run in seconds that is short, compared with a round trip to the broker"
    )
    short_tasks_a_slot: Annotated[int, Field(ge=1, le=1000)] = Field(
        4, description="messages for each slot of a worker of short tasks; Celery's default is also 4"
    )
    long_run_seconds: Annotated[float, Field(gt=0, le=86400)] = Field(
        10.0, description="a longer run, in seconds, delays prefetched messages for too long"
    )


class _Runs(NamedTuple):
    """A worker's longest run and its task, and the smallest latency target and its queue."""

    seconds: float
    task: Scope
    promise: float
    queue: Scope


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """One message a slot; more if every task is short and each queue's latency target allows it."""
    keda = plan.find(APP, "image") is not None and (deployed(spec, "autoscaler") or (KEDA, None))[0] == KEDA
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
                f"all tasks of this worker run {duration(runs.seconds)} at most, and prefetched messages "
                f"start within the latency target of {duration(runs.promise)}"
            )
            origins: tuple[Origin, ...] = (
                Derived(runs.task, "runtime_p99_seconds"),
                Derived(runs.queue, "queue_wait_seconds"),
                parameter(NAME, "short_run_seconds", tuned.short_run_seconds),
                parameter(NAME, "short_tasks_a_slot", tuned.short_tasks_a_slot),
            )
            yield Decision(scope, "prefetch_multiplier", tuned.short_tasks_a_slot, because, origins)
        else:
            because = "a prefetched message waits for the runs of its worker while another worker may be idle"
            origins = (Constant("ONE_A_SLOT", ONE_A_SLOT),)
            yield Decision(scope, "prefetch_multiplier", ONE_A_SLOT, because, origins)
            yield from _mixed(plan, scope, tuned)
        if plan.find(scope, "disable_prefetch") is None:
            if not short and (pinned is None or pinned.value == ONE_A_SLOT):
                counted = keda and plan.find(scope, "scaling") is not None
                yield from _without_reserve(plan, scope, processes[scope], tuned, counted=counted)
        elif plan.value(scope, "disable_prefetch") and not plan.broker.disables_prefetch:
            yield from _once(told, [_does_nothing(plan, scope)])
    yield from as_findings(unlimited_prefetch(plan), PREFETCH_UNLIMITED)


def _runs(plan: Plan, scope: Scope, names: list[str]) -> _Runs:
    """The runs of these queues; infinite if nothing is declared."""
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
    """How many worker processes consume at least one of this worker's queues."""
    names = {
        name for queue in plan.texts(scope, "queues") for name in plan.texts(Scope("queue", queue), "workers")
    }
    return sum(int(plan.number(Scope("worker", name), "replicas")) for name in names)


def _without_reserve(
    plan: Plan, scope: Scope, processes: int, tuned: Parameters, *, counted: bool
) -> Iterator[Decision]:
    able = plan.broker.disables_prefetch
    if not able or plan.version(APP, "celery_version") < FIRST_CELERY_WITHOUT_PREFETCH or processes <= 1:
        return
    early = [
        (plan.number_if_any(task, "runtime_p99_seconds") or 0, task)
        for task in (Scope("task", name) for name in plan.texts(scope, "tasks"))
        if not plan.value(task, "options.acks_late")
    ]
    seconds, task = max(early, default=(0, scope))
    if counted and early:
        because = (
            f"{task.name} is acknowledged early, so a worker would fetch the message behind it, and KEDA "
            "would not count that message"
        )
        origins: tuple[Origin, ...] = (
            Derived(scope, "scaling"),
            Derived(task, "options.acks_late"),
            Derived(APP, "broker_transport"),
            Derived(APP, "celery_version"),
        )
        yield Decision(scope, "disable_prefetch", value=True, because=because, origins=origins)
    elif seconds > tuned.long_run_seconds:
        because = (
            f"{task.name} may run {duration(seconds)} and is acknowledged early, so a message prefetched "
            "behind it would wait while another worker process is idle"
        )
        origins = (
            Derived(task, "runtime_p99_seconds"),
            Derived(task, "options.acks_late"),
            Derived(APP, "broker_transport"),
            Derived(APP, "celery_version"),
            parameter(NAME, "long_run_seconds", tuned.long_run_seconds),
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
            f"worker {scope.name} prefetches {multiplier:g} messages a slot, and {task.name} may run "
            f"{duration(seconds)}: the last message may wait {duration(multiplier * seconds)} "
            "while another worker is idle"
        )
        related = (Related(("tasks", task.name, "runtime"), f"p99 {duration(seconds)}"),)
        instead = "remove the pin (the compiler then sets 1)"
        if plan.written(scope, "prefetch_multiplier") is None:
            instead = "write `options: {prefetch_multiplier: 1}`"
        help_text = f"{instead}, or give the long task a separate worker"
        yield PREFETCH_LONG.at(path, message, help=help_text, related=related)
    elif multiplier == ONE_A_SLOT and _short(runs, tuned):
        message = (
            f"all tasks of worker {scope.name} run {duration(runs.seconds)} at most; with the pinned "
            "prefetch multiplier of 1, each run waits for a round trip to the broker"
        )
        help_text = f"remove `prefetch_multiplier: 1` (the compiler then sets {tuned.short_tasks_a_slot})"
        yield PREFETCH_SHORT.at(path, message, help=help_text)


def _mixed(plan: Plan, scope: Scope, tuned: Parameters) -> Iterator[Diagnostic]:
    """Queues of one worker: some would prefetch more messages a slot, others must not."""
    own = {queue: _runs(plan, scope, [queue]) for queue in plan.texts(scope, "queues")}
    short = [queue for queue, runs in own.items() if _short(runs, tuned)]
    long = [queue for queue, runs in own.items() if tuned.long_run_seconds < runs.seconds < math.inf]
    if short and long:
        message = (
            f"worker {scope.name} prefetches one message a slot for the long tasks in {long[0]}: "
            f"each task in {short[0]} waits for a round trip to the broker"
        )
        path: SpecPath = ("workers", scope.name, "queues")
        yield PREFETCH_MIXED_WORKER.at(path, message, help=f"give {short[0]} a separate worker")


def _does_nothing(plan: Plan, scope: Scope) -> Diagnostic:
    path = _place(plan, scope, "disable_prefetch")
    transport = plan.value(APP, "broker_transport")
    message = f"`disable_prefetch` works only on Redis and has no effect on {transport}"
    help_text = "remove it; one message a slot with late acknowledgment prefetches nothing"
    return DISABLE_PREFETCH_RABBIT.at(path, message, help=help_text, fix=(Remove(path),))


def _once(told: set[tuple[str, SpecPath]], findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Report a setting that is pinned for all workers only once."""
    for finding in findings:
        if (finding.code, finding.path) not in told:
            told.add((finding.code, finding.path))
            yield finding


def _place(plan: Plan, scope: Scope, key: str) -> SpecPath:
    return plan.written(scope, key) or ("workers", scope.name)
