"""How queues are declared to the broker.

Decides:
    `queue:NAME/exchange`, `exchange_type`, `routing_key`, `arguments`,
    `consumer_arguments`; `app/task_create_missing_queues`, and of the default queue
    `app/task_default_exchange`, `task_default_exchange_type` and `task_default_routing_key`.

Because:
    With `task_create_missing_queues` a misspelt queue name makes a queue that nobody reads; without
    it the mistake is an error where it happens. Every queue is therefore declared. RabbitMQ 4 has no
    global prefetch for classic queues, so a countdown or a delayed retry would hold a worker's slot
    there; quorum queues behind a topic exchange delay natively
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html). Up to
    RabbitMQ 3 a worker may take further messages of a classic queue while it holds delayed ones, which
    serves for delays shorter than the broker's `consumer_timeout`, half an hour unless it is raised.

Example:
    tasks:
      shop.mail.send: {latency: interactive}

    queue:shop.interactive.io/exchange_type = "direct"
    app/task_create_missing_queues = false

Refuses:
    PC411 queue-type-unused: remove it; it is for RabbitMQ.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.model import Queue, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written

NAME = "queue-declarations"

QUEUE_TYPE_UNUSED = warning("PC411", "queue-type-unused")

FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH = 4
"""RabbitMQ 4.0 removed it for classic queues (rabbitmq-server release notes 4.0)."""
REDELIVERIES = 3
"""How often a message that kills its worker may come back before the broker drops it."""
FOLLOWED_ARGUMENTS = {"redis": frozenset({"x-expires"})}
"""Queue arguments that kombu follows itself on a broker without AMQP; it ignores all others there."""
FIRST_CELERY_WITH_QUORUM = (5, 5)
"""Older ones ask for a global prefetch, which quorum queues refuse: the worker ends at its start."""
CREATE_MISSING_QUEUES = False
"""Celery would make a queue for every misspelt name; nobody would ever read it."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Declare every queue, and nothing else."""
    transport = plan.text(APP, "broker_transport")
    if transport != "rabbitmq":
        for name, queue in spec.queues.items():
            yield from _unused(transport, name, queue)
    for scope in plan.scopes("queue"):
        written = spec.queues.get(scope.name)
        yield from _queue(plan, scope, written)
    if plan.find(APP, "task_create_missing_queues") is None:
        because = "a misspelt queue name is an error, not a queue that nobody reads"
        origins = (Constant("CREATE_MISSING_QUEUES", CREATE_MISSING_QUEUES),)
        yield Decision(APP, "task_create_missing_queues", CREATE_MISSING_QUEUES, because, origins)
    default = Scope("queue", plan.text(APP, "task_default_queue"))
    for key in ("exchange", "exchange_type", "routing_key"):
        name = f"task_default_{key}"
        if plan.find(APP, name) is None:
            because = "as the default queue is declared"
            yield Decision(APP, name, plan.value(default, key), because, (Derived(default, key),))


def _unused(transport: str, name: str, queue: Queue) -> Iterator[Diagnostic]:
    """What only RabbitMQ understands."""
    followed = FOLLOWED_ARGUMENTS.get(transport, frozenset())
    unused = {
        "type": queue.type is not None,
        "arguments": not followed.issuperset(queue.arguments or {}),
        "consumer_arguments": bool(queue.consumer_arguments),
    }
    for field in (field for field, given in unused.items() if given):
        message = f"{transport} knows no `{field}` of a queue; this changes nothing"
        if field == "arguments" and followed:
            message = f"of a queue's `arguments` {transport} knows only {', '.join(followed)}"
        path = ("queues", name, field)
        yield QUEUE_TYPE_UNUSED.at(path, message, help="remove it, or use RabbitMQ", at_key=True)


def _queue(plan: Plan, scope: Scope, written: Queue | None) -> Iterator[Decision]:
    quorum, because, origin = _is_quorum(plan, scope, written)
    arguments: dict[str, Value] = {}
    origins: tuple[Origin, ...] = (origin,)
    if quorum and not plan.value(scope, "broadcast"):
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": REDELIVERIES}
        origins += (Constant("REDELIVERIES", REDELIVERIES),)
    if written is not None and written.arguments:
        arguments |= written.arguments
        origins += (Written(("queues", scope.name, "arguments")),)
    yield Decision(scope, "arguments", arguments, because if arguments else "none are needed", origins)
    decided: dict[str, tuple[Value, str]] = {
        "exchange": (scope.name, "an exchange of the queue's own name"),
        "exchange_type": ("topic" if quorum else "direct", because),
        "routing_key": (scope.name, "the queue's own name"),
        "consumer_arguments": ({}, "none are needed"),
    }
    for key, (value, why) in decided.items():
        if plan.find(scope, key) is None:
            yield Decision(scope, key, value, why, (origin,))


def _is_quorum(plan: Plan, scope: Scope, written: Queue | None) -> tuple[bool, str, Origin]:
    """Whether it is a quorum queue, why, and who says so."""
    if plan.text(APP, "broker_transport") != "rabbitmq":
        return False, "this broker has one kind of queue", Derived(APP, "broker_transport")
    if written is not None and written.type is not None:
        return written.type == "quorum", "the queue type is pinned", Written(("queues", scope.name, "type"))
    if plan.value(scope, "external"):
        return False, "the app that consumes it declares it; this one only sends", Derived(scope, "external")
    return _of_versions(plan)


def _of_versions(plan: Plan) -> tuple[bool, str, Origin]:
    if plan.version(APP, "celery_version") < FIRST_CELERY_WITH_QUORUM:
        return False, "this Celery cannot consume quorum queues", Derived(APP, "celery_version")
    if plan.find(APP, "broker_version") is None:
        newest = Constant("FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH", FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH)
        return True, "no version is declared, and only this delays well on every RabbitMQ", newest
    if plan.version(APP, "broker_version")[0] >= FIRST_RABBITMQ_WITHOUT_GLOBAL_PREFETCH:
        return True, "RabbitMQ 4 and later delay well only this way", Derived(APP, "broker_version")
    return (
        False,
        "RabbitMQ 3 delays for less than half an hour with the simpler kind",
        Derived(APP, "broker_version"),
    )
