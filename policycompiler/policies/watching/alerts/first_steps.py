"""The first commands to run: they start or inspect the units or containers of workers and beat."""

from __future__ import annotations

from collections.abc import Sequence

from policycompiler.plan import APP, Plan, Scope

_MOST_NAMED = 3
_LIST = "(kubectl get pods, or docker compose ps)"
_LOGS = "(kubectl logs --since=1h, or docker compose logs --since=1h)"


def start(plan: Plan, workers: Sequence[Scope]) -> str:
    """How to start the workers of a queue, and where to read why one has stopped."""
    if _in_containers(plan):
        return (
            f"First: list the containers of {_named(workers)} {_LIST}, then read the logs of those that stop."
        )
    units = [_unit(plan, worker) for worker in workers[:_MOST_NAMED]]
    return (
        f"First: systemctl start {' '.join(units)} (one instance for each replica: @1, @2, …), "
        f"then journalctl --unit={units[0]} --lines=100."
    )


def look(plan: Plan) -> str:
    """How to see which tasks the workers run now."""
    return f"First: {_celery(plan)} inspect active."


def restart(plan: Plan, workers: Sequence[Scope]) -> str:
    """How to find a worker that hangs, and how to restart it."""
    if _in_containers(plan):
        return f"{look(plan)} Restart the containers of {_named(workers)} that do not answer."
    units = [_unit(plan, worker) for worker in workers[:_MOST_NAMED]]
    return f"{look(plan)} Restart workers that do not answer: systemctl restart {' '.join(units)}."


def read_log(plan: Plan, workers: Sequence[Scope]) -> str:
    """Where the logs show why runs fail."""
    if _in_containers(plan):
        return f"First: read the logs of {_named(workers)} since an hour ago {_LOGS}."
    units = " ".join(f"--unit={_unit(plan, worker)}" for worker in workers[:_MOST_NAMED])
    # Not by priority: systemd gives one priority to all lines of Celery.
    return f"First: journalctl {units} --since=-1h."


def start_beat(plan: Plan) -> str:
    """How to start beat, and where to read why it has stopped."""
    if _in_containers(plan):
        return f"First: list the container of beat {_LIST}, then read its logs."
    unit = f"{plan.get(APP, 'service', 'SERVICE')}-beat.service"
    return f"First: systemctl start {unit} on the host of beat, then journalctl --unit={unit} --lines=100."


def ask_broker(plan: Plan) -> str:
    """How to see whether the broker answers: by its URL, or on its host."""
    metrics = plan.broker.metrics
    assert metrics is not None, plan.broker.label
    if "{url}" not in metrics.ping:
        return f"First: {metrics.ping} on the broker's host."
    return f"First: {metrics.ping.format(url='URL')}, with the URL that the workers have."


def _in_containers(plan: Plan) -> bool:
    """Whether the workload has an image, so no unit starts its processes."""
    return plan.find(APP, "image") is not None


def _named(workers: Sequence[Scope]) -> str:
    return ", ".join(worker.name for worker in workers[:_MOST_NAMED])


def _unit(plan: Plan, worker: Scope) -> str:
    return f"{plan.get(APP, 'service', 'SERVICE')}-worker-{worker.name}@1.service"


def _celery(plan: Plan) -> str:
    return f"celery --app {plan.get(APP, 'app', 'APP')}"
