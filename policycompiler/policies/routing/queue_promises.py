"""The latency target and the owner of each queue.

Decides:
    `queue:NAME/latency`, `queue:NAME/queue_wait_seconds`, and `queue:NAME/owner` if all its tasks have the
    same owner.

Because:
    Alerts and worker sizes are about queues, but latency targets are about tasks. So a queue has the latency
    target of its most urgent task.

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
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.policy import class_bound

NAME = "queue-promises"


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Summarize the tasks of each queue."""
    urgency = {name: rank for rank, name in enumerate(spec.latency_classes)}
    for scope in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
        origin: Origin
        if tasks:
            first = min(tasks, key=lambda task: urgency[plan.text(task, "latency")])
            latency = plan.text(first, "latency")
            origin = Derived(first, "latency")
            because = "the most urgent task of the queue has this latency class"
        else:
            latency = DEFAULT_CLASS
            origin = Constant("DEFAULT_CLASS", DEFAULT_CLASS)
            because = "no declared task is sent to the queue, so the middle class applies"
        yield Decision(scope, "latency", latency, because, (origin,))
        wait = spec.latency_classes[latency].queue_wait_p99_seconds
        bound = class_bound(latency, "queue_wait_p99", wait)
        why = f"the latency target of class `{latency}` is that 99 of 100 tasks start within this time"
        yield Decision(scope, "queue_wait_seconds", wait, why, (Derived(scope, "latency"), bound))
        owners = {plan.get(task, "owner") for task in tasks}
        owner = owners.pop() if len(owners) == 1 else None
        if owner is not None:
            because = "this team owns all tasks of the queue"
            yield Decision(scope, "owner", owner, because, (Derived(tasks[0], "owner"),))
