"""Workers that answer nobody."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan

SETTING = "worker_enable_remote_control"


def remote_control(plan: Plan) -> Iterator[Hazard]:
    """What asks the workers, and hears nothing."""
    pinned = plan.written(APP, SETTING)
    if pinned is None or plan.get(APP, SETTING) is not False or not plan.scopes("worker"):
        return
    if not plan.broker.control:
        return
    message = (
        "without remote control no worker answers: the waits of a rollout (`celery inspect`) never end, "
        "celery-exporter counts no workers, and no task can be revoked"
    )
    yield Hazard("remote-control-off", ((APP, SETTING),), message, "remove it", pinned)
