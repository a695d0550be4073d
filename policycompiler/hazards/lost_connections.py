"""Runs that continue, or are never acknowledged, when a worker loses its connection to the broker."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge import pools
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

CANCEL = "worker_cancel_long_running_tasks_on_connection_loss"
HEARTBEAT = "broker_heartbeat"
CELERY_SECONDS = 120
"""Celery's default."""
SERVER_SECONDS = 60
"""RabbitMQ's default. The smaller number applies; RabbitMQ closes a connection that is silent for longer."""


def lost_connections(plan: Plan) -> Iterator[Hazard]:
    """Check each worker that has replicas."""
    for worker in plan.scopes("worker"):
        if plan.get(worker, "replicas", 1) == 0:
            continue
        late = [task for name in plan.texts(worker, "tasks") if _is_late(plan, task := Scope("task", name))]
        kind = plan.get(worker, "pool", "prefork")
        pool = pools.pool(str(kind))
        if late and not pool.cancels and plan.get(APP, CANCEL):
            yield _uncancelled(plan, worker, str(kind), late[0])
        if not pool.answers and plan.broker.heartbeats:
            yield from _unheard(plan, worker, str(kind), late)


def _is_late(plan: Plan, task: Scope) -> bool:
    return bool(plan.get(task, "options.acks_late"))


def _uncancelled(plan: Plan, worker: Scope, pool: str, task: Scope) -> Hazard:
    message = (
        f"pool {pool} of worker {worker.name} cannot cancel a run, so `{CANCEL}` has no effect. After a lost "
        f"connection Celery before 5.7 stops the worker with an error. Celery 5.7 runs {task.name} twice at "
        "the same time"
    )
    settings = ((APP, CANCEL), (worker, "pool"), (task, "options.acks_late"))
    path = plan.written(APP, CANCEL) or place_of(plan, worker, "pool")
    related = (Related(place_of(plan, worker, "pool"), f"pool {pool}"),)
    help_text = "remove the setting, or use `pool: prefork`"
    return Hazard("cancel-impossible", settings, message, help_text, path, related)


def _unheard(plan: Plan, worker: Scope, pool: str, late: list[Scope]) -> Iterator[Hazard]:
    """A worker that sends no heartbeats during a run."""
    asked = plan.get(APP, HEARTBEAT, CELERY_SECONDS)
    if not isinstance(asked, int | float) or asked <= 0:
        return
    seconds = min(asked, SERVER_SECONDS)
    runs = [(run, task) for task in late if (run := _longest_run(plan, task)) is not None and run >= seconds]
    if not runs:
        return
    run, task = max(runs, key=lambda each: (each[0], each[1]))
    message = (
        f"worker {worker.name} with pool {pool} sends no heartbeats during a run of {task.name}, up to "
        f"{duration(run)}. RabbitMQ closes such a connection after {duration(seconds)}, so the run is never "
        "acknowledged and repeats without end"
    )
    settings = (
        (worker, "pool"),
        (task, "runtime_p99_seconds"),
        (APP, HEARTBEAT),
        (task, "options.acks_late"),
    )
    path = place_of(plan, worker, "pool")
    related = (Related(place_of(plan, task, "runtime_p99_seconds", "options.time_limit"), "its run time"),)
    help_text = "use `pool: prefork` or `pool: threads`, which send heartbeats while tasks run"
    yield Hazard("solo-heartbeat", settings, message, help_text, path, related)


def _longest_run(plan: Plan, task: Scope) -> float | None:
    """The declared run time, because the pool applies no limit."""
    return plan.number_if_any(task, "runtime_p99_seconds")
