"""The facts of a queue that the alerts read from the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.plan import APP, Constant, Derived, Origin, Plan, Scope
from policycompiler.plan.processes import fewest

ASSUMED_LONGEST_RUN_SECONDS = 3600
"""If neither a task nor the app has a hard time limit."""


class Queue(NamedTuple):
    """A queue with workers that run. `tasks` are its own; `neighbors` are all tasks of these workers.

    `replicas` are the worker processes that run even without load.
    """

    scope: Scope
    workers: list[Scope]
    tasks: list[Scope]
    neighbors: list[Scope]
    replicas: int


def watched_queues(plan: Plan) -> Iterator[Queue]:
    """Queues that run here. celery-exporter does not measure broadcast queues and queues of other apps."""
    tasks_of: dict[str, list[Scope]] = {}
    for task in plan.scopes("task"):
        tasks_of.setdefault(plan.text(task, "queue"), []).append(task)
    for scope in plan.scopes("queue"):
        if plan.value(scope, "external") or plan.value(scope, "broadcast"):
            continue
        consumers = [Scope("worker", name) for name in plan.texts(scope, "workers")]
        workers = [worker for worker in consumers if plan.number(worker, "replicas") > 0]
        if workers:
            replicas = sum(fewest(plan, worker)[0] for worker in workers)
            names = sorted({name for worker in workers for name in plan.texts(worker, "queues")})
            neighbors = [task for name in names for task in tasks_of.get(name, [])]
            yield Queue(scope, workers, tasks_of.get(scope.name, []), neighbors, replicas)


def own_longest_run(plan: Plan, queue: Queue) -> tuple[float, tuple[Origin, ...]]:
    """Seconds for which a task may hold a slot of its workers, from declared run times and limits only.

    With assumed run times of other tasks, the alert would wait for runs that may not exist.
    """
    said = (task for task in queue.neighbors if _says_how_long(plan, task))
    runs = [Derived(task, "longest_run_seconds") for task in said]
    return max((positive(plan, run.scope, run.key) for run in runs), default=0), tuple(runs)


def _says_how_long(plan: Plan, task: Scope) -> bool:
    return plan.find(task, "runtime_p99_seconds") is not None or bool(
        plan.written(task, "options.time_limit")
    )


def longest_run(plan: Plan, queue: Queue) -> tuple[float, Origin]:
    """Seconds for which a slot of its workers may be busy, with tasks of any queue that they consume."""
    limits = [Derived(task, "longest_run_seconds") for task in queue.neighbors]
    # A task that the workload does not declare may be sent to any queue.
    limits.append(Derived(APP, "longest_run_seconds"))
    longest = max(limits, key=lambda limit: positive(plan, limit.scope, limit.key))
    if seconds := positive(plan, longest.scope, longest.key):
        return seconds, longest
    assumed = ASSUMED_LONGEST_RUN_SECONDS
    return assumed, Constant("ASSUMED_LONGEST_RUN_SECONDS", assumed)


def positive(plan: Plan, scope: Scope, key: str) -> float:
    """A number, or 0 when it is null or undecided."""
    return plan.number_if_any(scope, key) or 0
