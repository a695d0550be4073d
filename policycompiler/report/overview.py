"""One line per task: queue, worker, delivery, limits and retries."""

from __future__ import annotations

import json

from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.quantities import duration
from policycompiler.report.text import clean, table

HEADER = ("task", "queue", "worker", "delivery", "limits", "retries")
FORMAT = 1
LONGEST_BACKOFF_SECONDS = 600
"""Celery's default for retry_backoff_max."""
_UNKNOWN = "–"  # noqa: RUF001 - a dash for people


def overview(plan: Plan) -> str:
    """The table of all tasks, ending with a newline."""
    rows = [HEADER, *(row(plan, scope) for scope in plan.scopes("task"))]
    told = for_undeclared(plan)
    return "\n".join([*table(rows), *(["", told] if told else [])]) + "\n"


def for_undeclared(plan: Plan) -> str:
    """A sentence about the queue and workers that serve only undeclared tasks; empty where there are none."""
    name = plan.get(APP, "task_default_queue")
    queue = Scope("queue", str(name))
    if name is None or plan.get(queue, "tasks") != [] or plan.get(queue, "external"):
        return ""
    workers = [
        worker
        for worker in plan.texts(queue, "workers")
        if plan.get(Scope("worker", worker), "queues") == [queue.name]
    ]
    whose = {0: "", 1: " and its worker"}.get(len(workers), " and its workers")
    verb = "serve" if workers else "serves"
    return clean(f"queue {queue.name}{whose} {verb} tasks that the workload does not declare")


def overview_json(plan: Plan) -> str:
    """The same for machines, ending with a newline."""
    tasks = [dict(zip(HEADER, row(plan, scope), strict=True)) for scope in plan.scopes("task")]
    # ASCII, so that no control or bidirectional character reaches a terminal.
    return json.dumps({"format": FORMAT, "tasks": tasks}, indent=2) + "\n"


def row(plan: Plan, scope: Scope) -> tuple[str, ...]:
    """The cells of a task, below `HEADER`."""
    queue = plan.get(scope, "queue")
    where = (scope.name, _UNKNOWN if queue is None else str(queue))
    if plan.get(scope, "external"):
        return (*where, "external", _UNKNOWN, _UNKNOWN, _UNKNOWN)
    workers = plan.get(scope, "workers")
    names = ", ".join(map(str, workers)) if isinstance(workers, list) else ""
    return (*where, names or "none", _delivery(plan, scope), _limits(plan, scope), _retries(plan, scope))


def _delivery(plan: Plan, scope: Scope) -> str:
    late = plan.get(scope, "options.acks_late", plan.get(APP, "task_acks_late", default=False))
    return "at least once" if late else "at most once"


def _limits(plan: Plan, scope: Scope) -> str:
    """The soft and the hard time limit, and whether they follow from a default."""
    soft = plan.get(scope, "options.soft_time_limit", plan.get(APP, "task_soft_time_limit"))
    hard = plan.get(scope, "options.time_limit", plan.get(APP, "task_time_limit"))
    if not soft and not hard:
        return "none"
    assumed = ", assumed" if plan.get(scope, "limits_assumed") else ""
    return f"{_duration(soft)} / {_duration(hard)}{assumed}"


def _duration(value: Value) -> str:
    return duration(value) if isinstance(value, int | float) and value else _UNKNOWN


def _retries(plan: Plan, scope: Scope) -> str:
    """The number of retries and the delay between them: `5, ≤ 5 min apart`."""
    if plan.find(scope, "options.max_retries") is None:
        return "not declared"
    most = plan.get(scope, "options.max_retries")
    if most == 0:
        return "none"
    count = "unlimited" if most is None else str(most)
    if not plan.get(scope, "options.autoretry_for") and plan.get(scope, "options.retry_on_worker_lost"):
        # Celery counts restarts after a lost process as retries.
        return f"none; {count} restarts if its process dies"
    backs_off = plan.get(scope, "options.retry_backoff")
    longest = plan.get(scope, "options.retry_backoff_max", LONGEST_BACKOFF_SECONDS if backs_off else None)
    if longest is not None:
        return f"{count}, ≤ {_duration(longest)} apart"
    fixed = plan.get(scope, "options.default_retry_delay")
    return count if fixed is None else f"{count}, {_duration(fixed)} apart"
