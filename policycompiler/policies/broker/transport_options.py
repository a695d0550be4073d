"""Whether the broker and the result backend support the pinned connection options.

Decides:
    Nothing.

Because:
    Each transport reads the options that it knows and silently ignores all others. A misspelled option
    therefore looks as if it worked. The known options come from the source code of kombu, py-amqp and
    Celery (https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.redis.html). In
    `result_backend_transport_options` this policy checks only the Redis backend; other backends have no
    options.

Example:
    broker: {transport: redis, url: "${CELERY_BROKER_URL}", options: {socket_timeouts: 5}}

    refuses unknown-transport-option

Refuses:
    PC636 unknown-transport-option: correct the name.
        fires: broker: {transport: redis, url: "${B}", options: {socket_timeouts: 5}}
        silent: broker: {transport: redis, url: "${B}", options: {socket_timeout: 5}}
    PC637 wrong-transport-option-type: write a number.
        fires: broker: {transport: redis, url: "${B}", options: {visibility_timeout: 1h}}
        silent: broker: {transport: redis, url: "${B}", options: {visibility_timeout: 3600}}
    PC638 transport-option-unused: remove the option; only other transports support it.
        fires: broker: {transport: redis, url: "${B}", options: {confirm_publish: true}}
        silent: broker: {transport: rabbitmq, url: "${B}", options: {confirm_publish: true}}
    PC639 transport-option-newer-than-target: remove the option, or run a Celery version with a newer kombu.
        fires:
            celery: {version: "5.5"}
            broker: {transport: redis, url: "${B}", options: {client_name: shop}}
        silent:
            celery: {version: "5.6"}
            broker: {transport: redis, url: "${B}", options: {client_name: shop}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from policycompiler.diagnostics import (
    Diagnostic,
    Remove,
    SpecPath,
    did_you_mean,
    error,
    fatal,
    misspelled,
    warning,
)
from policycompiler.knowledge import celery_settings as celery
from policycompiler.knowledge.brokers import BROKERS
from policycompiler.model import Workload, advice
from policycompiler.model.workload.app import Broker
from policycompiler.plan import APP, Plan, Value

NAME = "transport-options"

UNKNOWN_TRANSPORT_OPTION = error("PC636", "unknown-transport-option")
WRONG_TRANSPORT_OPTION_TYPE = fatal("PC637", "wrong-transport-option-type")
TRANSPORT_OPTION_UNUSED = warning("PC638", "transport-option-unused")
TRANSPORT_OPTION_NEWER_THAN_TARGET = error("PC639", "transport-option-newer-than-target")

_OPTIONS: SpecPath = ("broker", "options")
_VISIBILITY = "visibility_timeout"
_NUMBERS = frozenset(
    {
        "connect_retries_timeout",
        "connect_timeout",
        "health_check_interval",
        "interval_max",
        "interval_start",
        "interval_step",
        "max_connections",
        "max_retries",
        "polling_interval",
        "read_timeout",
        "socket_connect_timeout",
        "socket_timeout",
        "unacked_mutex_expire",
        "unacked_restore_interval",
        "unacked_restore_limit",
        "unacked_restore_throttle",
        "wait_time_seconds",
        "write_timeout",
    }
)
"""Numeric options. The transport accepts text silently, and fails later when it uses the option."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the options of the broker, then the options of the result backend."""
    transport, version = plan.text(APP, "broker_transport"), plan.text(APP, "celery_version")
    for option, value in (spec.broker.options or {}).items():
        yield from _broker_option(option, value, transport, version)
    backend = str(plan.get(APP, "result_backend_kind", "none"))
    pinned = ((spec.celery and spec.celery.settings) or {}).get("result_backend_transport_options")
    if isinstance(pinned, dict) and (known := celery.result_options(backend, version)):
        path: SpecPath = ("celery", "settings", "result_backend_transport_options")
        yield from _unknown(pinned, known, path, f"not an option of the {backend} backend")
        policy = celery.known("nested:results_retry_policy", version)
        yield from _nested(pinned, "retry_policy", policy, path, "not a key of a retry policy")


def _broker_option(option: str, value: Value, transport: str, version: str) -> Iterator[Diagnostic]:
    path = (*_OPTIONS, option)
    known = celery.known(f"transport:{transport}", version)
    if option == _VISIBILITY or (option in _NUMBERS and option in known):
        yield from _number(option, value, path)
    if option in known:
        queues = value if option == "predefined_queues" and isinstance(value, dict) else {}
        for name in queues:
            words = celery.known("nested:predefined_queues", version)
            yield from _nested(queues, name, words, path, "not a key of a predefined queue")
        return
    if having := celery.versions_of(f"transport:{transport}", option):
        message = f"the kombu version of Celery {version} does not support `{option}` and silently ignores it"
        help_text = f"remove it, or run Celery {having[-1]}"
        yield TRANSPORT_OPTION_NEWER_THAN_TARGET.at(path, message, help=help_text, at_key=True)
    elif others := [each for each in BROKERS if celery.versions_of(f"transport:{each}", option)]:
        # The visibility timeout has its own field, and another policy reports it.
        if option != _VISIBILITY:
            message = f"`{option}` is an option of {' and '.join(others)}; {transport} silently ignores it"
            fix = (Remove(path),)
            help_text = f"remove `{option}`"
            yield TRANSPORT_OPTION_UNUSED.at(path, message, help=help_text, at_key=True, fix=fix)
    else:
        yield from _unknown({option: value}, known, _OPTIONS, f"not an option of {transport}")


def _number(option: str, value: Value, path: SpecPath) -> Iterator[Diagnostic]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option == _VISIBILITY and (not number or value <= 0):  # type: ignore[operator]  # it is a number
        message = f"`{option}` must be a positive number of seconds"
        yield WRONG_TRANSPORT_OPTION_TYPE.at(path, message, help="write a number of seconds")
    elif not number and value is not None:
        message = f"`{option}` must be a number"
        yield WRONG_TRANSPORT_OPTION_TYPE.at(path, message, help="write a number")


def _nested(
    options: Mapping[str, Value], name: str, known: Collection[str], path: SpecPath, what: str
) -> Iterator[Diagnostic]:
    inner = options.get(name)
    if isinstance(inner, dict):
        yield from _unknown(inner, known, (*path, name), what)


def _unknown(
    options: Mapping[str, Value], known: Collection[str], path: SpecPath, what: str
) -> Iterator[Diagnostic]:
    for option in options:
        if option not in known:
            message = f"`{option}` is {what} and would be silently ignored"
            near = misspelled(option, known)
            help_text = (
                (f"did you mean `{near}`?" if near else advice.elsewhere(option, where=Broker))
                or did_you_mean(option, known)
                or f"use one of: {', '.join(sorted(known))}"
            )
            yield UNKNOWN_TRANSPORT_OPTION.at((*path, option), message, help=help_text, at_key=True)
