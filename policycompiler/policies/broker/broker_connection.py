"""How processes reach the broker, and what they do when they cannot.

Decides:
    `app/broker_connection_retry_on_startup`, `app/broker_connection_max_retries`,
    `app/broker_pool_limit`, `app/broker_transport_options`,
    `app/worker_cancel_long_running_tasks_on_connection_loss`; on SQS `app/worker_enable_remote_control`.

Because:
    A broker restarts; a worker that gives up on it needs a person. A message published to RabbitMQ
    without a confirmation can vanish without an error. When the connection is lost, the broker gives a
    late-acknowledged message to another worker at once, so finishing the first run only doubles it. Where a
    worker has a pool that cannot cancel, threads or solo, nothing is decided about that.

    A connection to Redis can be dead without anybody having closed it, and a command waits for ever on it
    unless `socket_timeout` is set; kombu's own check of the connection that it listens on, every 25 s, needs
    it too (https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html). A worker
    that waits for messages reads only what has come, so it loses no connection by being idle. Keys of
    `socket_keepalive_options` are numbers that differ by system: write the names of Python's constants, such
    as `TCP_KEEPIDLE`, and the settings import them; numbers are taken as they are.

    `task_publish_retry_policy` replaces Celery's own as a whole: one without `max_retries` tries for ever
    when the broker goes away, and a web request that sends hangs. SQS has neither events nor remote control,
    unless its fan-out over SNS is turned on; what asks for them does nothing there.

Example:
    tasks: {shop.mail.send: {}}

    app/broker_connection_max_retries = null
    app/broker_transport_options = {"visibility_timeout": 3600, "socket_timeout": 30.0}

Refuses:
    PC430 publish-unconfirmed: remove the pin.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13", options: {confirm_publish: false}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13", options: {confirm_publish: true}}
    PC431 quorum-confirm: remove the pin.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "4.1", options: {confirm_publish: false}}
            queues: {q: {type: quorum}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "4.1", options: {confirm_publish: true}}
            queues: {q: {type: quorum}}
    PC432 publish-retry-unbounded: write `max_retries`, 3 where in doubt.
        fires: celery: {settings: {task_publish_retry_policy: {interval_max: 1}}}
        silent: celery: {settings: {task_publish_retry_policy: {max_retries: 3, interval_max: 1}}}
    PC433 sqs-limits: remove the pin; SQS has no events and no remote control.
        fires:
            broker: {transport: sqs, url: "${B}"}
            celery: {settings: {worker_enable_remote_control: true}}
        silent:
            broker: {transport: sqs, url: "${B}"}
            celery: {settings: {worker_enable_remote_control: false}}
    PC434 redis-keepalive-names: write a constant of Python's `socket` that Linux has, or its number.
        fires:
            broker:
              {transport: redis, url: "${B}", options: {socket_keepalive_options: {KEEPIDLE: 60}}}
        silent:
            broker:
              {transport: redis, url: "${B}", options: {socket_keepalive_options: {TCP_KEEPIDLE: 60}}}
    PC552 broker-connection-given-up: remove the pin.
        fires:
            celery: {settings: {broker_connection_max_retries: 5}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {broker_connection_max_retries: 0}}
            tasks: {shop.a: {}}
    PC608 visibility-timeout-twice: keep one of the two.
        fires:
            broker:
              {transport: redis, url: "${B}", visibility_timeout: 2h, options: {visibility_timeout: 7200}}
        silent: broker: {transport: redis, url: "${B}", visibility_timeout: 2h}

Parameters:
    `socket_timeout_seconds`: on Redis, how long a command waits for a connection that may be dead; 30.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import (
    Diagnostic,
    Profile,
    Related,
    SpecPath,
    did_you_mean,
    error,
    warning,
)
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.publishing import given_up, publishing
from policycompiler.knowledge import pools
from policycompiler.knowledge.brokers import Fanout
from policycompiler.knowledge.clients import KEEPALIVE_NAMES
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Value, Written

NAME = "broker-connection"

PUBLISH_UNCONFIRMED = warning("PC430", "publish-unconfirmed", Profile.MINIMAL)
QUORUM_CONFIRM = warning("PC431", "quorum-confirm", Profile.MINIMAL)
PUBLISH_RETRY_UNBOUNDED = warning("PC432", "publish-retry-unbounded")
BROKER_CONNECTION_GIVEN_UP = warning("PC552", "broker-connection-given-up")
SQS_LIMITS = warning("PC433", "sqs-limits")
REDIS_KEEPALIVE_NAMES = error("PC434", "redis-keepalive-names")
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
REMOTE_CONTROL = False
"""SQS carries none; a worker would make queues for it."""
OVER_FANOUT = ("worker_enable_remote_control", "worker_send_task_events", "task_send_sent_event")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    socket_timeout_seconds: Annotated[float, Field(ge=2, le=3600)] = Field(
        30.0, description="no command of kombu takes a healthy Redis as long; a failover takes some seconds"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
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
    }
    # The setting is the app's, and a pool that cannot cancel fails on it.
    kinds = [str(plan.value(scope, "pool")) for scope in plan.scopes("worker")]
    if all(pools.pool(kind).cancels for kind in kinds):
        fixed["worker_cancel_long_running_tasks_on_connection_loss"] = (
            CANCEL_ON_LOSS,
            "CANCEL_ON_LOSS",
            "the broker has given the message to another worker already",
        )
    for key, (value, constant, because) in fixed.items():
        if plan.find(APP, key) is None:
            yield Decision(APP, key, value, because, (Constant(constant, value),))
    if plan.find(APP, "broker_pool_limit") is None:
        yield _pool_limit(plan)
    yield from _transport_options(spec, plan, tuned)
    yield from as_findings(publishing(plan), PUBLISH_UNCONFIRMED, QUORUM_CONFIRM, PUBLISH_RETRY_UNBOUNDED)
    yield from as_findings(given_up(plan), BROKER_CONNECTION_GIVEN_UP)
    if plan.broker.fanout is Fanout.NONE and not (spec.broker.options or {}).get("supports_fanout"):
        yield from _without_fanout(plan)


def _without_fanout(plan: Plan) -> Iterator[Decision | Diagnostic]:
    for key in OVER_FANOUT:
        pinned = plan.written(APP, key)
        if pinned is not None and plan.value(APP, key):
            message = f"SQS carries neither events nor remote control; `{key}: true` does nothing"
            yield SQS_LIMITS.at(pinned, message, help="remove it")
    if plan.find(APP, OVER_FANOUT[0]) is None:
        origins = (Derived(APP, "broker_transport"), Constant("REMOTE_CONTROL", REMOTE_CONTROL))
        yield Decision(APP, OVER_FANOUT[0], REMOTE_CONTROL, "SQS carries none", origins)


def _pool_limit(plan: Plan) -> Decision:
    shared = [scope for scope in plan.scopes("worker") if pools.pool(plan.text(scope, "pool")).shares_process]
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


def _transport_options(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    options: dict[str, Value] = {}
    origins: tuple[Origin, ...] = (Derived(APP, "broker_transport"),)
    reasons = []
    known = plan.broker
    if known.redelivery is not None and known.redelivery.option is not None:
        options[known.redelivery.option] = plan.value(APP, "visibility_timeout_seconds")
        origins += (Derived(APP, "visibility_timeout_seconds"),)
        reasons.append("longer than anything that holds a message")
    if known.confirms:
        options["confirm_publish"] = CONFIRM_PUBLISH
        origins += (Constant("CONFIRM_PUBLISH", CONFIRM_PUBLISH),)
        reasons.append("a publish that the broker did not take is an error")
    written = spec.broker.options or {}
    if known.socket_timeout:
        if "socket_timeout" not in written:
            options["socket_timeout"] = tuned.socket_timeout_seconds
            origins += (
                Parameter(("parameters", NAME, "socket_timeout_seconds"), tuned.socket_timeout_seconds),
            )
            reasons.append("a dead connection is noticed")
        yield from _sockets(written)
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


def _sockets(written: Mapping[str, Value]) -> Iterator[Diagnostic]:
    """Options of the sockets that make every connection an error."""
    keepalive = written.get("socket_keepalive_options")
    path: SpecPath = ("broker", "options", "socket_keepalive_options")
    if keepalive is None:
        return
    if not isinstance(keepalive, dict):
        message = (
            "`socket_keepalive_options` is a mapping of socket options to numbers: no process could connect"
        )
        yield REDIS_KEEPALIVE_NAMES.at(path, message, help="write one, such as `{TCP_KEEPIDLE: 60}`")
        return
    for name, value in keepalive.items():
        known = name in KEEPALIVE_NAMES or name.isdecimal()
        if not known:
            message = f"`{name}` is no option of a socket: no process could connect"
            help_text = (
                did_you_mean(name, KEEPALIVE_NAMES) or f"known are {', '.join(sorted(KEEPALIVE_NAMES))}"
            )
            yield REDIS_KEEPALIVE_NAMES.at((*path, name), message, help=help_text, at_key=True)
        elif type(value) is not int:
            message = f"`{name}` is a whole number of seconds or of tries: no process could connect"
            yield REDIS_KEEPALIVE_NAMES.at((*path, name), message, help="write a whole number")
