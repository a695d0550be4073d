"""What workers and producers tell monitors, and what workers tell each other.

Decides:
    `app/worker_send_task_events`, `app/task_send_sent_event`; `worker:NAME/task_events`,
    `without_gossip`, `without_mingle`, `without_heartbeat`, `log_level`.

Because:
    Exporters and Flower live on task events, and know a task's queue only from the event of its send.
    Gossip is worth its traffic only to who writes election code. On RabbitMQ, Celery 5.7 holds a gevent
    or eventlet worker to some ten tasks a second while it sends any event at all, so such a worker sends
    none; `celery.settings: {broker_heartbeat: 0}` is the other way out, and keeps the events.

Example:
    tasks: {shop.mail.send: {latency: interactive}}

    app/task_send_sent_event = true
    worker:shop.interactive.io/task_events = true
    worker:shop.interactive.io/without_gossip = true

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "task-events"

WITHOUT_GOSSIP = True
"""Nothing that we emit uses it."""
WITHOUT_MINGLE = False
"""A starting worker learns from the others which tasks were revoked."""
LOG_LEVEL = "INFO"
"""One line a task: what an on-call person reads first."""
CELERY_WITH_SLOW_GREEN = (5, 7)
"""Its synchronous loop, which green pools run, waits 0.1 s for events after every message."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Events on, wherever the broker can carry them and the pool can bear them."""
    del spec
    carried = plan.broker.control
    slowed = {scope for scope in plan.scopes("worker") if _slows(plan, scope)}
    transport: tuple[Origin, ...] = (Derived(APP, "broker_transport"),)
    because = "exporters and Flower live on them" if carried else "this broker cannot carry them"
    if plan.find(APP, "task_send_sent_event") is None:
        yield Decision(APP, "task_send_sent_event", carried, because, transport)
    pinned = plan.get(APP, "worker_send_task_events")
    if pinned is None:
        origins = (*transport, *(Derived(scope, "pool") for scope in sorted(slowed)))
        if slowed:
            because = "each worker's own flag says so, as one of them must not send any"
        yield Decision(APP, "worker_send_task_events", carried and not slowed, because, origins)
    for scope in plan.scopes("worker"):
        decided = _flags(
            plan, scope, sends=bool(carried if pinned is None else pinned), slowed=scope in slowed
        )
        for key, value, why, origins in decided:
            if plan.find(scope, key) is None:
                yield Decision(scope, key, value, why, origins)


def _slows(plan: Plan, scope: Scope) -> bool:
    """Whether events would hold this worker to ten tasks a second."""
    return (
        plan.broker.heartbeats
        and pools.pool(plan.text(scope, "pool")).green
        and plan.version(APP, "celery_version") == CELERY_WITH_SLOW_GREEN
        and plan.get(APP, "broker_heartbeat") != 0
    )


def _flags(
    plan: Plan, scope: Scope, *, sends: bool, slowed: bool
) -> Iterator[tuple[str, Value, str, tuple[Origin, ...]]]:
    if slowed:
        why = "with any events this pool is held to ten tasks a second"
        three = (Derived(scope, "pool"), Derived(APP, "broker_transport"), Derived(APP, "celery_version"))
        yield "task_events", False, why, three
        yield "without_heartbeat", True, why, three
    else:
        app = plan.setting(APP, "worker_send_task_events")
        origin = Derived(APP, "broker_transport") if sends and not app.value else Derived(APP, app.key)
        why = "exporters and Flower live on them" if sends else "as the app's setting says"
        yield "task_events", sends, why, (origin,)
        yield "without_heartbeat", False, "monitors know it is alive", (Derived(scope, "pool"),)
    gossip = (Constant("WITHOUT_GOSSIP", WITHOUT_GOSSIP),)
    yield "without_gossip", WITHOUT_GOSSIP, "nothing here uses it", gossip
    mingle = (Constant("WITHOUT_MINGLE", WITHOUT_MINGLE),)
    yield "without_mingle", WITHOUT_MINGLE, "a starting worker learns which tasks were revoked", mingle
    yield "log_level", LOG_LEVEL, "one line a task", (Constant("LOG_LEVEL", LOG_LEVEL),)
