"""How processes connect to the broker, and what they do if the broker is down.

Decides:
    `app/broker_connection_retry_on_startup`, `app/broker_connection_max_retries`,
    `app/broker_pool_limit`, `app/broker_transport_options`,
    `app/worker_cancel_long_running_tasks_on_connection_loss`; on SQS `app/worker_enable_remote_control`.

Because:
    Brokers restart. A worker that stops reconnecting needs a manual restart. A message published to
    RabbitMQ without a confirm can be lost without an error. When a worker loses its connection, the broker
    immediately redelivers its late-acknowledged messages to another worker. The first run is then
    superfluous, so the worker cancels it. The pools threads and solo cannot cancel runs: if any worker has
    such a pool, this policy leaves `worker_cancel_long_running_tasks_on_connection_loss` undecided.

    A connection to Redis can be dead although neither side closed it. Without `socket_timeout` a command then
    waits forever. kombu checks its listening connection every 25 s, and this check needs `socket_timeout` too
    (https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html). The timeout does
    not close idle connections: a waiting worker reads only messages that have arrived.

    Workers look for messages of killed workers only about every 100 s by default, and after the visibility
    timeout. With `unacked_restore_throttle: 1` they look every 10 s, which costs Redis one short command.

    The keys of `socket_keepalive_options` are numbers that differ between operating systems. Write the
    names of Python's constants, such as `TCP_KEEPIDLE`: the generated settings import them. The numbers of
    Linux are also accepted, and become these names.

    `task_publish_retry_policy` replaces the whole default policy of Celery. Without `max_retries` a
    publisher retries forever while the broker is down, so a web request that sends a task hangs. SQS
    supports neither events nor remote control unless its fan-out over SNS is enabled. Settings that turn
    them on have no effect.

Example:
    tasks: {shop.mail.send: {}}

    app/broker_connection_max_retries = null
    app/broker_connection_retry_on_startup = true
    app/broker_pool_limit = 10

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
    PC432 publish-retry-unbounded: write `max_retries`; if in doubt, 3.
        fires: celery: {settings: {task_publish_retry_policy: {interval_max: 1}}}
        silent: celery: {settings: {task_publish_retry_policy: {max_retries: 3, interval_max: 1}}}
    PC433 sqs-limits: remove the pin; SQS supports neither events nor remote control.
        fires:
            broker: {transport: sqs, url: "${B}"}
            celery: {settings: {worker_enable_remote_control: true}}
        silent:
            broker: {transport: sqs, url: "${B}"}
            celery: {settings: {worker_enable_remote_control: false}}
    PC434 redis-keepalive-names: write a constant of Python's `socket` module on Linux, or its number.
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
    PC608 visibility-timeout-twice: keep one of the two visibility timeouts.
        fires:
            broker:
              {transport: redis, url: "${B}", visibility_timeout: 2h, options: {visibility_timeout: 7200}}
        silent: broker: {transport: redis, url: "${B}", visibility_timeout: 2h}

Parameters:
    `socket_timeout_seconds`: how long a Redis command may wait before its connection counts as dead; 30.0.
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
from policycompiler.knowledge import celery_settings, pools
from policycompiler.knowledge.brokers import Fanout
from policycompiler.knowledge.clients import KEEPALIVE_NAMES
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.policies.policy import parameter

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
"""Retry forever: by default Celery stops after 100 tries, and a supervisor stops after a few starts."""
POOL_LIMIT = 10
"""Celery's default, for publishers with few threads."""
MOST_CONNECTIONS = 100
"""More connections in one process do not make the broker faster."""
SPARE_CONNECTIONS = 6
"""Those of a worker beside its slots: it consumes, restores, sends events and answers remote control."""
CANCEL_ON_LOSS = True
"""The worker cancels only late-acknowledged runs, which run again on another worker."""
CONFIRM_PUBLISH = True
"""The publisher gets an error if the broker did not accept a message."""
REMOTE_CONTROL = False
"""SQS does not support it; a worker would create queues for it."""
OVER_FANOUT = ("worker_enable_remote_control", "worker_send_task_events", "task_send_sent_event")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    socket_timeout_seconds: Annotated[float, Field(ge=2, le=3600)] = Field(
        30.0, description="seconds a Redis command may wait; healthy ones are faster, failovers take a few"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Keep reconnecting to the broker, and report messages that it did not accept."""
    fixed: dict[str, tuple[Value, str, str]] = {
        "broker_connection_retry_on_startup": (
            RETRY_ON_STARTUP,
            "RETRY_ON_STARTUP",
            "workers and broker start in any order",
        ),
        "broker_connection_max_retries": (
            MAX_RETRIES,
            "MAX_RETRIES",
            "a worker that stops reconnecting needs a manual restart",
        ),
    }
    # The setting is for the whole app, and a pool that cannot cancel fails with it.
    kinds = [str(plan.value(scope, "pool")) for scope in plan.scopes("worker")]
    if all(pools.pool(kind).cancels for kind in kinds):
        fixed["worker_cancel_long_running_tasks_on_connection_loss"] = (
            CANCEL_ON_LOSS,
            "CANCEL_ON_LOSS",
            "after a lost connection the broker redelivers the messages of these runs to other workers",
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
            message = f"SQS supports neither events nor remote control; `{key}: true` has no effect"
            yield SQS_LIMITS.at(pinned, message, help=f"remove `{key}`")
    if plan.find(APP, OVER_FANOUT[0]) is None:
        origins = (Derived(APP, "broker_transport"), Constant("REMOTE_CONTROL", REMOTE_CONTROL))
        yield Decision(APP, OVER_FANOUT[0], REMOTE_CONTROL, "SQS does not support remote control", origins)


def _pool_limit(plan: Plan) -> Decision:
    most, scope = _most_shared(plan)
    if most <= POOL_LIMIT:
        origins: tuple[Origin, ...] = (Constant("POOL_LIMIT", POOL_LIMIT),)
        because = f"{POOL_LIMIT} connections are enough for a process with few threads"
        return Decision(APP, "broker_pool_limit", POOL_LIMIT, because, origins)
    limit = min(most, MOST_CONNECTIONS)
    origins = (Derived(scope, "concurrency"), Constant("MOST_CONNECTIONS", MOST_CONNECTIONS))
    because = f"up to {most} slots of one process may publish at once"
    return Decision(APP, "broker_pool_limit", limit, because, origins)


def _most_shared(plan: Plan) -> tuple[int, Scope]:
    """The most slots of a process that has them all, and its worker."""
    shared = [scope for scope in plan.scopes("worker") if pools.pool(plan.text(scope, "pool")).shares_process]
    slots = [(value, scope) for scope in shared if isinstance(value := plan.get(scope, "concurrency"), int)]
    return max(slots, default=(0, APP))


def _transport_options(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    options: dict[str, Value] = {}
    origins: tuple[Origin, ...] = (Derived(APP, "broker_transport"),)
    reasons = []
    known, as_is = plan.broker, plan.as_is(APP)
    timeout = plan.find(APP, "visibility_timeout_seconds")
    given = timeout is not None and not timeout.is_left_to_celery
    if given and known.redelivery is not None and known.redelivery.option is not None:
        options[known.redelivery.option] = plan.value(APP, "visibility_timeout_seconds")
        origins += (Derived(APP, "visibility_timeout_seconds"),)
        reasons.append("the visibility timeout is longer than a worker holds any message")
    if (sweep := _sweep(plan)) and not as_is:
        options |= sweep
        origins += (Derived(APP, "celery_version"),)
        reasons.append("workers look every 10 s for messages past their timeout, not every 100 s")
    if known.confirms and not as_is:
        options["confirm_publish"] = CONFIRM_PUBLISH
        origins += (Constant("CONFIRM_PUBLISH", CONFIRM_PUBLISH),)
        reasons.append("a publisher gets an error if the broker did not accept its message")
    written = spec.broker.options or {}
    most, scope = _most_shared(plan)
    if (
        known.client_connections is not None
        and most > known.client_connections - SPARE_CONNECTIONS
        and not as_is
    ):
        options["max_connections"] = most + SPARE_CONNECTIONS
        origins += (Derived(scope, "concurrency"), Constant("SPARE_CONNECTIONS", SPARE_CONNECTIONS))
        reasons.append(f"up to {most} slots of one process acknowledge at once")
    if known.socket_timeout:
        if "socket_timeout" not in written and not as_is:
            options["socket_timeout"] = tuned.socket_timeout_seconds
            origins += (parameter(NAME, "socket_timeout_seconds", tuned.socket_timeout_seconds),)
            reasons.append("`socket_timeout` detects dead connections")
        yield from _sockets(written)
    if written:
        origins += (Written(("broker", "options")),)
        reasons.append("the workload pins the other options")
    if "visibility_timeout" in written and spec.broker.visibility_timeout is not None:
        path = ("broker", "options", "visibility_timeout")
        related = (Related(("broker", "visibility_timeout"), "also set here"),)
        message = "the visibility timeout is set twice"
        help_text = "remove one of the two visibility timeouts"
        yield VISIBILITY_TIMEOUT_TWICE.at(path, message, help=help_text, related=related)
    options = {**options, **written}
    if options:
        yield Decision(APP, "broker_transport_options", options, "; ".join(reasons), origins)


def _sweep(plan: Plan) -> dict[str, Value]:
    """The options of this Celery with which workers soon find messages past their timeout."""
    redelivery = plan.broker.redelivery
    section = f"transport:{plan.text(APP, 'broker_transport')}"
    known = celery_settings.known(section, plan.text(APP, "celery_version"))
    options = {} if redelivery is None else redelivery.sweep
    return {name: value for name, value in options.items() if name in known}


def _sockets(written: Mapping[str, Value]) -> Iterator[Diagnostic]:
    """Socket options with which every connection fails."""
    keepalive = written.get("socket_keepalive_options")
    path: SpecPath = ("broker", "options", "socket_keepalive_options")
    if keepalive is None:
        return
    if not isinstance(keepalive, dict):
        message = "`socket_keepalive_options` must map socket options to numbers, or no process can connect"
        yield REDIS_KEEPALIVE_NAMES.at(path, message, help="write a mapping, such as `{TCP_KEEPIDLE: 60}`")
        return
    for name, value in keepalive.items():
        known = name in KEEPALIVE_NAMES or name.isdecimal()
        if not known:
            message = f"`{name}` is not a socket option, so no process can connect"
            help_text = (
                did_you_mean(name, KEEPALIVE_NAMES) or f"use one of: {', '.join(sorted(KEEPALIVE_NAMES))}"
            )
            yield REDIS_KEEPALIVE_NAMES.at((*path, name), message, help=help_text, at_key=True)
        elif type(value) is not int:
            message = f"`{name}` must be a whole number (of seconds or tries), or no process can connect"
            yield REDIS_KEEPALIVE_NAMES.at((*path, name), message, help="write a whole number")
