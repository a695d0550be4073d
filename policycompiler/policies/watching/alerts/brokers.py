"""Alerts on the broker itself: its memory, keys that it evicts, and its own alarms."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import SIGNALS, Signal
from policycompiler.plan import APP, Plan
from policycompiler.policies.watching.alerts.alert import (
    NOTE,
    PAGE,
    TICKET,
    About,
    Choice,
    Found,
    at_once,
    constant,
    decide,
    patience,
    sources,
    tuned_choice,
)
from policycompiler.policies.watching.alerts.tuned import Parameters
from policycompiler.quantities import share

MEMORY_PATIENCE_SECONDS = 120
"""Four scrapes: a full broker refuses messages."""
EVICTION_WINDOW_SECONDS = 300
"""Ten scrapes."""
ALARM_WINDOW_SECONDS = 300
"""An alarm that comes and goes still blocks publishers."""


def broker_alerts(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """The alerts of the broker's own source, as far as it measures what they compare."""
    for name in sources(plan):
        if SOURCES[name].broker is None:
            continue
        has, prefix = SIGNALS[name], SOURCES[name].alert_prefix
        if Signal.MEMORY in has:
            yield from _memory(plan, prefix, tuned, alarmed=Signal.MEMORY_ALARM in has)
        if Signal.INSTANCE in has:
            yield from _settings(plan, prefix, tuned)
        if Signal.MEMORY_ALARM in has:
            yield from _alarms(plan, prefix, tuned)


def _service(plan: Plan) -> str:
    return plan.text(APP, "service")


def _few_scrapes() -> Choice:
    because = "a full broker refuses messages soon"
    return constant("MEMORY_PATIENCE_SECONDS", MEMORY_PATIENCE_SECONDS, because)


def _memory(plan: Plan, prefix: str, tuned: Parameters, *, alarmed: bool) -> Iterator[Found]:
    label, signals = plan.broker.label, (Signal.MEMORY, Signal.MEMORY_LIMIT)
    shares = [(f"{prefix}MemoryHigh", "memory_share", "TICKET", TICKET, "there is still memory")]
    if not alarmed:
        shares.append(
            (f"{prefix}MemoryCritical", "memory_critical_share", "PAGE", PAGE, "soon no task can be sent")
        )
    for alert, key, name, level, why in shares:
        choices = {
            "severity": constant(name, level, why),
            "for_seconds": _few_scrapes(),
            "threshold": tuned_choice(tuned, key, "the limit is near"),
        }
        description = (
            f"{label} uses more than {share(getattr(tuned, key))} of its memory limit. At the limit it "
            "takes no more messages. First: policycompiler status shows the longest queues. "
            "If they are short, something else fills the broker, or its limit was lowered. "
            "Do not delete queues: start more workers, or stop the publisher."
        )
        summary = f"{_service(plan)}: the memory of the broker is nearly full"
        yield from decide(plan, alert, About(), signals, choices, (summary, description), tuned)


def _settings(plan: Plan, prefix: str, tuned: Parameters) -> Iterator[Found]:
    label = plan.broker.label
    choices = {
        "severity": constant("PAGE", PAGE, "messages of tasks may be among the evicted keys"),
        "for_seconds": at_once("an evicted message does not come back"),
        "window_seconds": constant(
            "EVICTION_WINDOW_SECONDS", EVICTION_WINDOW_SECONDS, "several scrapes fit in it"
        ),
    }
    description = (
        f"{label} deletes keys because its memory is full. Messages, queues and bindings of Celery are such "
        "keys. First: redis-cli config set maxmemory-policy noeviction. Then find what fills the memory."
    )
    summary = f"{_service(plan)}: the broker deletes keys"
    signal = (Signal.EVICTED,)
    yield from decide(plan, f"{prefix}Evicting", About(), signal, choices, (summary, description), tuned)
    choices = {
        "severity": constant("PAGE", PAGE, "with full memory, the broker will delete messages"),
        "for_seconds": patience(tuned, "the setting does not change by itself"),
    }
    description = (
        f"The `maxmemory-policy` of {label} is not `noeviction`: with full memory it deletes messages. "
        "First: redis-cli config set maxmemory-policy noeviction, and the same in its configuration file."
    )
    summary = f"{_service(plan)}: the broker may delete messages"
    signal = (Signal.INSTANCE,)
    yield from decide(plan, f"{prefix}UnsafePolicy", About(), signal, choices, (summary, description), tuned)
    choices = {
        "severity": constant("NOTE", NOTE, "the broker works, without a limit"),
        "for_seconds": patience(tuned, "the setting does not change by itself"),
    }
    description = (
        f"{label} has no memory limit, so the alert on its memory cannot fire, and the kernel may kill it. "
        "First: set `maxmemory` (redis/redis.conf has a number from the declared messages)."
    )
    summary = f"{_service(plan)}: the broker has no memory limit"
    signal = (Signal.MEMORY_LIMIT,)
    yield from decide(plan, f"{prefix}NoMaxmemory", About(), signal, choices, (summary, description), tuned)


def _alarms(plan: Plan, prefix: str, tuned: Parameters) -> Iterator[Found]:
    label = plan.broker.label
    for alert, signal, what in (
        (f"{prefix}MemoryAlarm", Signal.MEMORY_ALARM, "memory"),
        (f"{prefix}DiskAlarm", Signal.DISK_ALARM, "free disk space"),
    ):
        choices = {
            "severity": constant("PAGE", PAGE, "publishers are blocked"),
            "for_seconds": at_once("the broker already blocks publishers"),
            "window_seconds": constant(
                "ALARM_WINDOW_SECONDS", ALARM_WINDOW_SECONDS, "an alarm that comes and goes still blocks"
            ),
        }
        description = (
            f"{label} has its {what} alarm on, and blocks all publishers until it is off. "
            "First: rabbitmq-diagnostics alarms, then policycompiler status for the longest queues."
        )
        summary = f"{_service(plan)}: the broker blocks publishers"
        yield from decide(plan, alert, About(), (signal,), choices, (summary, description), tuned)
    choices = {
        "severity": constant("NOTE", NOTE, "events without a monitor are dropped, too"),
        "for_seconds": at_once("a dropped message does not come back"),
        "window_seconds": constant(
            "EVICTION_WINDOW_SECONDS", EVICTION_WINDOW_SECONDS, "several scrapes fit in it"
        ),
    }
    description = (
        f"{label} drops messages that no queue is bound for. Events without a monitor are such messages; "
        "tasks must not be. First: compare rabbitmqctl list_bindings with rabbitmq/definitions.json."
    )
    summary = f"{_service(plan)}: the broker drops messages without a queue"
    signals = (Signal.UNROUTABLE,)
    yield from decide(plan, f"{prefix}Unroutable", About(), signals, choices, (summary, description), tuned)
