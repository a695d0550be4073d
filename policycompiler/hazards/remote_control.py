"""Workers without remote control."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan

SETTING = "worker_enable_remote_control"


def remote_control(plan: Plan) -> Iterator[Hazard]:
    """Tools that need remote control and get no answer."""
    pinned = plan.written(APP, SETTING)
    if pinned is None or plan.get(APP, SETTING) is not False or not plan.scopes("worker"):
        return
    if not plan.broker.control:
        return
    message = (
        f"with `{SETTING}: false` no worker answers: rollout steps that wait with `celery inspect` never "
        "end. celery-exporter counts no workers, and tasks cannot be revoked"
    )
    help_text = f"remove `{SETTING}: false`"
    yield Hazard("remote-control-off", ((APP, SETTING),), message, help_text, pinned)
