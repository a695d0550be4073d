"""When a waiting task expires, so that the worker discards it instead of running it.

Decides:
    `task:NAME/options.expires`, in seconds after the message is published.

Because:
    After an outage, tasks that still matter should not wait behind tasks that no longer do. A publisher that
    has the task registered sends it with this expiry.

Example:
    tasks:
      shop.cart.remind: {expires: 1h}

    task:shop.cart.remind/options.expires = 3600

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import Decision, Plan, Scope, Written

NAME = "expiry"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Carry a declared expiry into the task's options."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.expires is not None and plan.find(scope, "options.expires") is None:
            origins = (Written(("tasks", name, "expires")),)
            because = "the workload declares that a run is useless after this time"
            yield Decision(scope, "options.expires", task.expires, because, origins)
