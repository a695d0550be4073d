"""Alerts on guards, where the workload declares them: breakers, parks, claims, and their store."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.signals import Signal
from policycompiler.plan import APP, Constant, Derived, Origin, Plan, Scope
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    TICKET,
    About,
    Choice,
    Found,
    at_once,
    constant,
    decide,
    minutes,
    others,
    patience,
    severity,
    span,
    tuned_choice,
)
from policycompiler.policies.watching.alerts.first_steps import read_log
from policycompiler.policies.watching.alerts.queues import Queue
from policycompiler.policies.watching.alerts.runs import failures_window
from policycompiler.policies.watching.alerts.tuned import Parameters, origin
from policycompiler.quantities import duration, share

ROUNDS = 3
"""A dependency that fails so many probes in a row does not come back within seconds."""
BRIDGE_SECONDS = 120
"""A probe may take 60 s, and two scrapes later its outcome is seen."""
SEEN_SECONDS = 900
"""How long an alert fires after an event: people see it, and it ends before the next shift."""


def breakers(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """An alert for each breaker that stays open, although calls test it again and again."""
    for dependency in plan.scopes("dependency"):
        breaker = plan.get(dependency, "breaker")
        tasks = [Scope("task", name) for name in plan.texts(dependency, "tasks")]
        queues = _queues(plan, tasks)
        if isinstance(breaker, dict) and queues:
            seconds = breaker["open_for_seconds"]
            assert isinstance(seconds, int | float)
            yield from _breaker(plan, dependency, seconds, queues, tuned)


def _queues(plan: Plan, tasks: list[Scope]) -> list[Scope]:
    """The queues of tasks that run here, those with the smallest latency target first."""
    names = {plan.text(task, "queue") for task in tasks if not plan.value(task, "external")}
    found = [Scope("queue", name) for name in sorted(names)]
    return sorted(found, key=lambda queue: plan.number(queue, "queue_wait_seconds"))


def _breaker(
    plan: Plan, dependency: Scope, open_for: float, queues: list[Scope], tuned: Parameters
) -> Iterator[Found]:
    cause = Derived(dependency, "breaker")
    lasting = minutes(max(tuned.patience, ROUNDS * open_for + BRIDGE_SECONDS))
    origins: tuple[Origin, ...] = (
        *(cause, origin(tuned, "patience"), Constant("ROUNDS", ROUNDS)),
        Constant("BRIDGE_SECONDS", BRIDGE_SECONDS),
    )
    because = (
        f"a breaker that opens once is open for {duration(open_for)}; after {ROUNDS} failed probes, "
        "the dependency does not come back within seconds"
    )
    choices = {
        "dependency": Choice(dependency.name, "the alert is about its breaker", (cause,)),
        "severity": severity(plan, queues[0], tuned),
        "for_seconds": Choice(lasting, because, origins),
        "window_seconds": constant(
            "BRIDGE_SECONDS",
            BRIDGE_SECONDS,
            "a breaker is half open while a probe runs, and then opens again",
        ),
    }
    name = dependency.name
    workers = [
        Scope("worker", worker)
        for worker in sorted({worker for queue in queues for worker in plan.texts(queue, "workers")})
    ]
    description = (
        f"The breaker of {name} has been open for {span(choices['for_seconds'])}, and calls that test it "
        f"fail. Tasks that call {name} wait, which uses no retry. "
        f"First: ask the owner of {name}. {read_log(plan, workers).replace('First:', 'Then:')}"
    )
    summary = f"Calls of {name} fail, and its tasks wait"
    about = About(queues[0] if len(queues) == 1 else None, closely=(dependency,))
    signals = (Signal.BREAKER,)
    yield from decide(plan, "CeleryBreakerOpen", about, signals, choices, (summary, description), tuned)


def store_down(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """Workers do not reach the store, or it takes no writes."""
    variable = plan.find(APP, "guard_store_variable")
    if variable is None or not _asks_the_store(plan):
        return
    waiting = [
        Derived(scope, key)
        for kind, key in (("task", "idempotency_on_store_error"), ("dependency", "on_store_error"))
        for scope in plan.scopes(kind)
        if plan.get(scope, key) == "wait"
    ]
    if waiting:
        names = ", ".join(each.scope.name for each in waiting[:3])
        because = f"without the store, tasks wait for {names}{' and others' if waiting[3:] else ''}"
        urgent = Choice(PAGE, because, tuple(waiting))
    else:
        urgent = constant("TICKET", TICKET, "the tasks still run, without limits and breakers")
    choices = {
        "severity": urgent,
        "for_seconds": patience(tuned, "a restart of the store is over by then"),
    }
    description = (
        "A worker does not reach the store of guards, or the store takes no writes. Tasks with a key wait, "
        "unless they declare `on_store_error: run`. No breaker stops a call, and each process limits its own "
        f'rate. First: timeout 5 redis-cli -u "${variable.value}" ping on the host of a worker, '
        "with its environment."
    )
    summary = f"{plan.text(APP, 'service')}: workers do not reach the store of guards"
    signals = (Signal.STORE_UP,)
    yield from decide(plan, "CeleryGuardStoreDown", About(), signals, choices, (summary, description), tuned)


def _asks_the_store(plan: Plan) -> bool:
    """Whether workers of this service have a guard with a state that they share."""
    keyed = any(_has_key(plan, task) for task in plan.scopes("task"))
    return keyed or any(
        plan.find(scope, key) for scope in plan.scopes("dependency") for key in ("rate_per_second", "breaker")
    )


def _has_key(plan: Plan, task: Scope) -> bool:
    return bool(plan.get(task, "idempotency_key")) and not plan.value(task, "external")


def parked(plan: Plan, queue: Queue, tuned: Parameters) -> Iterator[Found]:
    """Nearly all runs of the queue find no turn, or a key that another run has."""
    causes = [
        *(Derived(task, "idempotency_key") for task in queue.tasks if plan.find(task, "idempotency_key")),
        *(
            Derived(Scope("dependency", name), "rate_per_second")
            for task in queue.tasks
            if plan.find(task, "calls")
            for name in plan.texts(task, "calls")
            if plan.find(Scope("dependency", name), "rate_per_second")
        ),
    ]
    if not causes:
        return
    because = "a run may be parked a few times before its turn"
    choices = {
        "severity": constant("TICKET", TICKET, "the tasks wait, and none is lost"),
        "for_seconds": patience(tuned, "a burst is over by then"),
        "threshold": Choice(
            tuned.parked_share, because, (origin(tuned, "parked_share"), *dict.fromkeys(causes))
        ),
        "minimum": tuned_choice(tuned, "least_runs", "a share of fewer runs is not meaningful"),
        "window_seconds": failures_window(plan, queue, tuned),
    }
    name = queue.scope.name
    description = (
        f"More than {share(tuned.parked_share)} of the runs of queue {name} only find that they must wait: "
        "for the rate of a dependency, or for another run with the same key. Their messages pass through the "
        "worker again and again, and their waits do not count as waits in the queue. "
        "First: the metric policycompiler_guard_parked_total has the task and the reason."
    )
    summary = f"Most runs of queue {name} are parked"
    about, signals = About(queue.scope), (Signal.HELD, Signal.STARTED)
    yield from decide(plan, "CeleryGuardParkRateHigh", about, signals, choices, (summary, description), tuned)


def keys(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """Alerts for each task with a key that runs here."""
    for task in plan.scopes("task"):
        if _has_key(plan, task):
            yield from _claim_lost(plan, task, tuned)
            yield from _poisoned(plan, task, tuned)


def _claim_lost(plan: Plan, task: Scope, tuned: Parameters) -> Iterator[Found]:
    """A run ended, and another one had its key meanwhile."""
    choices = {
        **_of_task(plan, task),
        "severity": constant("PAGE", PAGE, "each one may be a second effect, which does harm"),
        "for_seconds": at_once("the second effect may already exist"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    description = (
        f"A run of {task.name} ended after another run had taken over its key. The effect may exist twice. "
        f"{read_log(plan, _workers(plan, task))} The line has `lost its claim` and the task. "
        "Then compare the effects of that time."
    )
    texts = (f"The effect of {task.name} may exist twice", description)
    signals = (Signal.LOST_CLAIM,)
    yield from decide(plan, "CeleryGuardClaimLost", _about(plan, task), signals, choices, texts, tuned)


def _poisoned(plan: Plan, task: Scope, tuned: Parameters) -> Iterator[Found]:
    """A task failed because too many of its runs were lost."""
    choices = {
        **_of_task(plan, task),
        "severity": constant("TICKET", TICKET, "the task has failed, and kills no further process"),
        "for_seconds": at_once("waiting does not undo a failure"),
        "window_seconds": constant("SEEN_SECONDS", SEEN_SECONDS, "people have 15 min to see the alert"),
    }
    description = (
        f"A task {task.name} failed as `Poisoned`: several of its runs ended without an outcome. It may kill "
        f"its process each time. {read_log(plan, _workers(plan, task))}"
    )
    texts = (f"A task {task.name} was lost again and again", description)
    signals = (Signal.POISONED,)
    yield from decide(plan, "CeleryGuardPoisoned", _about(plan, task), signals, choices, texts, tuned)


def _of_task(plan: Plan, task: Scope) -> dict[str, Choice]:
    cause = (Derived(task, "idempotency_key"),)
    named = Choice(task.name, "the alert is about the effect of this task", cause)
    return {"task": named, **others(plan, [task.name], cause)}


def _about(plan: Plan, task: Scope) -> About:
    return About(Scope("queue", plan.text(task, "queue")), closely=(task,))


def _workers(plan: Plan, task: Scope) -> list[Scope]:
    return [Scope("worker", name) for name in plan.texts(task, "workers")]
