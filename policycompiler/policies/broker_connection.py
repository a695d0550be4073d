"""How processes reach the broker, and what they do when they cannot.

Decides:
    `app/broker_connection_retry_on_startup`, `app/broker_connection_max_retries`,
    `app/broker_pool_limit`, `app/broker_transport_options`,
    `app/worker_cancel_long_running_tasks_on_connection_loss`.

Because:
    A broker restarts; a worker that gives up on it needs a person. A message published to RabbitMQ
    without a confirmation can vanish without an error. When the connection is lost, the broker gives a
    late-acknowledged message to another worker at once, so finishing the first run only doubles it.

Example:
    tasks: {shop.mail.send: {}}

    app/broker_connection_max_retries = null
    app/broker_transport_options = {"visibility_timeout": 3600}

Refuses:
    PC608 visibility-timeout-twice: keep one of the two.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, error
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Value, Written

NAME = "broker-connection"

VISIBILITY_TIMEOUT_TWICE = error("PC608", "visibility-timeout-twice")

RETRY_ON_STARTUP = True
"""Workers and broker start in any order."""
MAX_RETRIES = None
"""For ever: Celery gives up after 100 tries otherwise, and a supervisor after a few starts."""
POOL_LIMIT = 10
"""Celery's own default, for producers with few threads."""
MOST_CONNECTIONS = 100
"""More in one process only queue up at the broker."""
CANCEL_ON_LOSS = True
"""Only late-acknowledged tasks are cancelled, and those are run again elsewhere."""
CONFIRM_PUBLISH = True
"""A publish that the broker did not take becomes an error that the producer sees."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Patience with the broker, and honesty about what it took."""
    fixed: dict[str, tuple[Value, str, str]] = {
        "broker_connection_retry_on_startup": (
            RETRY_ON_STARTUP,
            "RETRY_ON_STARTUP",
            "workers and broker start in any order",
        ),
        "broker_connection_max_retries": (
            MAX_RETRIES,
            "MAX_RETRIES",
            "a worker that gives up needs a person",
        ),
        "worker_cancel_long_running_tasks_on_connection_loss": (
            CANCEL_ON_LOSS,
            "CANCEL_ON_LOSS",
            "the broker has given the message to another worker already",
        ),
    }
    for key, (value, constant, because) in fixed.items():
        if plan.find(APP, key) is None:
            yield Decision(APP, key, value, because, (Constant(constant, value),))
    if plan.find(APP, "broker_pool_limit") is None:
        yield _pool_limit(plan)
    yield from _transport_options(spec, plan)


def _pool_limit(plan: Plan) -> Decision:
    shared = [
        scope for scope in plan.scopes("worker") if plan.value(scope, "pool") not in {"prefork", "solo"}
    ]
    slots = [(value, scope) for scope in shared if isinstance(value := plan.get(scope, "concurrency"), int)]
    most, scope = max(slots, default=(0, APP))
    if most <= POOL_LIMIT:
        origins: tuple[Origin, ...] = (Constant("POOL_LIMIT", POOL_LIMIT),)
        return Decision(
            APP, "broker_pool_limit", POOL_LIMIT, "enough for a process with few threads", origins
        )
    limit = min(most, MOST_CONNECTIONS)
    origins = (Derived(scope, "concurrency"), Constant("MOST_CONNECTIONS", MOST_CONNECTIONS))
    return Decision(APP, "broker_pool_limit", limit, "as many as slots that publish at once", origins)


def _transport_options(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    options: dict[str, Value] = {}
    origins: tuple[Origin, ...] = (Derived(APP, "broker_transport"),)
    reasons = []
    if plan.find(APP, "visibility_timeout_seconds") is not None:
        options["visibility_timeout"] = plan.value(APP, "visibility_timeout_seconds")
        origins += (Derived(APP, "visibility_timeout_seconds"),)
        reasons.append("longer than anything that holds a message")
    if plan.value(APP, "broker_transport") == "rabbitmq":
        options["confirm_publish"] = CONFIRM_PUBLISH
        origins += (Constant("CONFIRM_PUBLISH", CONFIRM_PUBLISH),)
        reasons.append("a publish that the broker did not take is an error")
    written = spec.broker.options or {}
    if written:
        origins += (Written(("broker", "options")),)
        reasons.append("the rest as written")
    if "visibility_timeout" in written and spec.broker.visibility_timeout is not None:
        path = ("broker", "options", "visibility_timeout")
        related = (Related(("broker", "visibility_timeout"), "also given here"),)
        message = "the visibility timeout is given twice"
        yield VISIBILITY_TIMEOUT_TWICE.at(path, message, help="keep one of them", related=related)
    options = {**options, **written}
    if options:
        yield Decision(APP, "broker_transport_options", options, "; ".join(reasons), origins)
