"""What workers and producers tell monitors, and what workers tell each other.

Decides:
    `app/worker_send_task_events`, `app/task_send_sent_event`; `worker:NAME/task_events`,
    `without_gossip`, `without_mingle`, `without_heartbeat`, `log_level`.

Because:
    Exporters and Flower live on task events, and know a task's queue only from the event of its send.
    Gossip is worth its traffic only to who writes election code. On RabbitMQ, Celery 5.7 slows a gevent
    or eventlet worker to some ten tasks a second unless gossip and event heartbeats are off.

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

from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value

NAME = "task-events"

WITHOUT_GOSSIP = True
"""Nothing that we emit uses it."""
WITHOUT_MINGLE = False
"""A starting worker learns from the others which tasks were revoked."""
LOG_LEVEL = "INFO"
"""One line a task: what an on-call person reads first."""
GREEN = frozenset({"gevent", "eventlet"})
"""Pools that run Celery's synchronous loop, which waits 0.1 s for events after every message in 5.7."""
CELERY_WITH_SLOW_GREEN = (5, 7)
"""The release with that wait."""
TRANSPORTS_WITHOUT_EVENTS = frozenset({"sqs", "filesystem"})
"""No fan-out, so no events and no remote control."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Events on, wherever the broker can carry them."""
    del spec
    transport = Derived(APP, "broker_transport")
    events = plan.text(APP, "broker_transport") not in TRANSPORTS_WITHOUT_EVENTS
    because = "exporters and Flower live on them" if events else "this broker cannot carry them"
    for key in ("worker_send_task_events", "task_send_sent_event"):
        if plan.find(APP, key) is None:
            yield Decision(APP, key, events, because, (transport,))
    for scope in plan.scopes("worker"):
        for key, value, why, origins in _flags(plan, scope):
            if plan.find(scope, key) is None:
                yield Decision(scope, key, value, why, origins)


def _flags(plan: Plan, scope: Scope) -> Iterator[tuple[str, Value, str, tuple[Origin, ...]]]:
    yield (
        "task_events",
        plan.value(APP, "worker_send_task_events"),
        "as the app's setting says",
        (Derived(APP, "worker_send_task_events"),),
    )
    gossip: tuple[Origin, ...] = (Constant("WITHOUT_GOSSIP", WITHOUT_GOSSIP),)
    yield "without_gossip", WITHOUT_GOSSIP, "nothing here uses it", gossip
    mingle: tuple[Origin, ...] = (Constant("WITHOUT_MINGLE", WITHOUT_MINGLE),)
    yield "without_mingle", WITHOUT_MINGLE, "a starting worker learns which tasks were revoked", mingle
    version = tuple(int(part) for part in plan.text(APP, "celery_version").split(".")[:2])
    slow = (
        plan.value(APP, "broker_transport") == "rabbitmq"
        and plan.value(scope, "pool") in GREEN
        and version == CELERY_WITH_SLOW_GREEN
    )
    why = "its events would slow this pool to ten tasks a second" if slow else "monitors know it is alive"
    origins = (Derived(scope, "pool"), Derived(APP, "broker_transport"), Derived(APP, "celery_version"))
    yield "without_heartbeat", slow, why, origins
    yield "log_level", LOG_LEVEL, "one line a task", (Constant("LOG_LEVEL", LOG_LEVEL),)
