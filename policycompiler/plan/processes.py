"""How many processes and slots a worker has, and which workers share queues."""

from __future__ import annotations

from policycompiler.plan import APP, Plan, Scope


def fewest(plan: Plan, worker: Scope) -> tuple[int, str]:
    """The fewest processes that run without a fault, and the key of the setting that says it.

    Only containers are scaled; elsewhere as many processes run as at peak.
    """
    bounds = plan.get(worker, "scaling")
    if isinstance(bounds, dict) and plan.find(APP, "image") is not None:
        return int(str(bounds["min"])), "scaling"
    return int(plan.number(worker, "replicas")), "replicas"


def slots_of(plan: Plan, worker: Scope) -> float:
    """The largest number of slots of one worker process."""
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        return max(number for number in bounds.values() if isinstance(number, int))
    return plan.number(worker, "concurrency")


def sharing(plan: Plan) -> list[list[Scope]]:
    """Workers that share a queue, directly or through others: they share one load."""
    group_of = {worker.name: {worker.name} for worker in plan.scopes("worker")}
    for queue in plan.scopes("queue"):
        merged: set[str] = set()
        for name in plan.texts(queue, "workers"):
            # A plan between two other plans may name a worker that it does not have.
            merged |= group_of.get(name, set())
        for name in merged:
            group_of[name] = merged
    groups = {min(group): group for group in group_of.values()}
    return [[Scope("worker", name) for name in sorted(groups[first])] for first in sorted(groups)]
