"""What each queue promises, and whose it is.

Decides:
    `queue:NAME/latency`, `queue:NAME/queue_wait_seconds`, and `queue:NAME/owner` where all its tasks
    have one owner.

Because:
    Alerts and sizes are about queues, promises are about tasks: a queue keeps the promise of its most
    urgent task.

Example:
    tasks:
      shop.mail.send: {latency: interactive, owner: storefront, queue: mail}
      shop.mail.digest: {latency: standard, owner: storefront, queue: mail}

    queue:mail/latency = "interactive"
    queue:mail/queue_wait_seconds = 1
    queue:mail/owner = "storefront"

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.model.classes import DEFAULT_CLASS
from policycompiler.plan import Constant, Decision, Derived, Origin, Parameter, Plan, Scope

NAME = "queue-promises"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Sum up each queue's tasks."""
    urgency = {name: rank for rank, name in enumerate(spec.latency_classes)}
    for scope in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
        origin: Origin
        if tasks:
            first = min(tasks, key=lambda task: urgency[plan.text(task, "latency")])
            latency = plan.text(first, "latency")
            origin, because = Derived(first, "latency"), "the most urgent of its tasks"
        else:
            latency = DEFAULT_CLASS
            origin, because = Constant("DEFAULT_CLASS", DEFAULT_CLASS), "no declared task is sent to it"
        yield Decision(scope, "latency", latency, because, (origin,))
        wait = spec.latency_classes[latency].queue_wait_p99_seconds
        bound = Parameter(("latency_classes", latency, "queue_wait_p99"), wait)
        why = f"the promise of class `{latency}`: 99 of 100 tasks start within it"
        yield Decision(scope, "queue_wait_seconds", wait, why, (Derived(scope, "latency"), bound))
        owners = {plan.get(task, "owner") for task in tasks}
        owner = owners.pop() if len(owners) == 1 else None
        if owner is not None:
            yield Decision(scope, "owner", owner, "all its tasks are theirs", (Derived(tasks[0], "owner"),))
