"""How many processes of a worker run: a platform may scale them between bounds."""

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
