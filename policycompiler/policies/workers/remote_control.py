"""Whether workers answer remote control commands.

Decides:
    Nothing.

Because:
    Remote control is required by the waits of a rollout (`celery inspect`), by celery-exporter, and to revoke
    tasks (https://docs.celeryq.dev/en/stable/userguide/workers.html#remote-control). Brokers without remote
    control, such as SQS, have their own findings.

Example:
    celery: {settings: {worker_enable_remote_control: false}}
    tasks: {shop.a: {queue: q}}

    refuses remote-control-off

Refuses:
    PC469 remote-control-off: remove the setting.
        fires: celery: {settings: {worker_enable_remote_control: false}}
        silent: celery: {settings: {worker_enable_remote_control: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.hazards.remote_control import remote_control
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "remote-control"

REMOTE_CONTROL_OFF = warning("PC469", "remote-control-off")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Whether workers answer `celery inspect`."""
    del spec
    return (hazard.as_finding(REMOTE_CONTROL_OFF) for hazard in remote_control(plan))
