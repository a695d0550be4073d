"""Events that workers and publishers send to monitors, and messages between workers.

Decides:
    `app/worker_send_task_events`, `app/task_send_sent_event`; `worker:NAME/task_events`,
    `without_gossip`, `without_mingle`, `without_heartbeat`, `log_level`.

Because:
    celery-exporter and Flower require task events. They know the queue of a task only from its sent event.
    Gossip costs traffic, and only code that elects a leader among workers uses it.

    On RabbitMQ, Celery 5.7 limits a gevent or eventlet worker to about ten tasks a second while the worker
    sends events, even heartbeats. This policy turns the events of these workers off. To keep the events, set
    `celery.settings: {broker_heartbeat: 0}` instead.

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

from policycompiler.hazards.pools import slowed_by_events
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "task-events"

WITHOUT_GOSSIP = True
"""No generated file uses gossip."""
WITHOUT_MINGLE = False
"""A starting worker asks the other workers which tasks were revoked."""
LOG_LEVEL = "INFO"
"""One log line for each run: the first place to look during an incident."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Turn events on where the broker transports them and the pool stays fast enough."""
    del spec
    carried = plan.broker.control
    slowed = {scope for scope in plan.scopes("worker") if slowed_by_events(plan, plan.text(scope, "pool"))}
    transport: tuple[Origin, ...] = (Derived(APP, "broker_transport"),)
    because = (
        "celery-exporter and Flower require task events"
        if carried
        else "this broker does not transport task events"
    )
    if plan.find(APP, "task_send_sent_event") is None:
        yield Decision(APP, "task_send_sent_event", carried, because, transport)
    pinned = plan.get(APP, "worker_send_task_events")
    if pinned is None:
        origins = (*transport, *(Derived(scope, "pool") for scope in sorted(slowed)))
        if slowed:
            because = "at least one worker must not send events, so each worker has its own flag"
        yield Decision(APP, "worker_send_task_events", carried and not slowed, because, origins)
    for scope in plan.scopes("worker"):
        decided = _flags(
            plan, scope, sends=bool(carried if pinned is None else pinned), slowed=scope in slowed
        )
        for key, value, why, origins in decided:
            if plan.find(scope, key) is None:
                yield Decision(scope, key, value, why, origins)


def _flags(
    plan: Plan, scope: Scope, *, sends: bool, slowed: bool
) -> Iterator[tuple[str, Value, str, tuple[Origin, ...]]]:
    if slowed:
        why = "events would limit this pool to about ten tasks a second"
        three = (Derived(scope, "pool"), Derived(APP, "broker_transport"), Derived(APP, "celery_version"))
        yield "task_events", False, why, three
        yield "without_heartbeat", True, why, three
    else:
        app = plan.setting(APP, "worker_send_task_events")
        origin = Derived(APP, "broker_transport") if sends and not app.value else Derived(APP, app.key)
        why = (
            "celery-exporter and Flower require task events"
            if sends
            else "`worker_send_task_events` is false for the whole app"
        )
        yield "task_events", sends, why, (origin,)
        yield (
            "without_heartbeat",
            False,
            "heartbeats show monitors that the worker is alive",
            (Derived(scope, "pool"),),
        )
    gossip = (Constant("WITHOUT_GOSSIP", WITHOUT_GOSSIP),)
    yield "without_gossip", WITHOUT_GOSSIP, "no generated file uses gossip", gossip
    mingle = (Constant("WITHOUT_MINGLE", WITHOUT_MINGLE),)
    because = "a starting worker asks the other workers which tasks were revoked"
    yield "without_mingle", WITHOUT_MINGLE, because, mingle
    yield "log_level", LOG_LEVEL, "INFO logs one line for each run", (Constant("LOG_LEVEL", LOG_LEVEL),)
