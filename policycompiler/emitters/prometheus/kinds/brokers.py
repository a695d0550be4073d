"""Alerts on the broker itself: memory, evicted keys, alarms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import SHARE, Course, Kind, counted, steady
from policycompiler.emitters.prometheus.series import duration, increased, series
from policycompiler.knowledge.signals import Signal

_INSTANCE = {"instance": "broker:9121"}


def _memory(alert: Alert) -> str:
    # The limit is 0 on a server without one.
    used, most = (series(alert, signal) for signal in (Signal.MEMORY, Signal.MEMORY_LIMIT))
    return f"max({used} / ({most} > 0)) > {alert.threshold!r}"


def _memory_courses(alert: Alert, steps: int) -> Iterator[Course]:
    used, most = (series(alert, each).example(**_INSTANCE) for each in (Signal.MEMORY, Signal.MEMORY_LIMIT))
    share = (1 + alert.threshold) / 2
    above = math.ceil(10_000 * share)
    full = {used: steady(above, steps), most: steady(10_000, steps)}
    yield Course("fires near the limit", full, {}, f"{above / 100:.4g}%")
    half = {used: steady(math.floor(10_000 * alert.threshold), steps), most: steady(10_000, steps)}
    yield Course("stays silent at the threshold", half)
    yield Course("stays silent without a limit", {used: steady(10_000, steps), most: steady(0, steps)})


def _no_limit(alert: Alert) -> str:
    return f"max({series(alert, Signal.MEMORY_LIMIT)}) == 0"


def _no_limit_courses(alert: Alert, steps: int) -> Iterator[Course]:
    most = series(alert, Signal.MEMORY_LIMIT).example(**_INSTANCE)
    yield Course("fires without a limit", {most: steady(0, steps)}, {})
    yield Course("stays silent with a limit", {most: steady(1, steps)})


def _evicting(alert: Alert) -> str:
    return increased(series(alert, Signal.EVICTED), alert.window_seconds)


def _evicting_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from counted(series(alert, Signal.EVICTED).example(**_INSTANCE), steps, "evicted key")


def _unsafe_policy(alert: Alert) -> str:
    unsafe = series(alert, Signal.INSTANCE)._replace(without={"maxmemory_policy": ("noeviction",)})
    return f"max({unsafe}) == 1"


def _unsafe_policy_courses(alert: Alert, steps: int) -> Iterator[Course]:
    one = series(alert, Signal.INSTANCE)
    unsafe, safe = (
        one.example(maxmemory_policy=policy, **_INSTANCE) for policy in ("allkeys-lru", "noeviction")
    )
    yield Course("fires while keys may be evicted", {unsafe: steady(1, steps)}, {})
    yield Course("stays silent while none is evicted", {safe: steady(1, steps)})


def _alarm(signal: Signal) -> Kind:
    def expression(alert: Alert) -> str:
        return f"max(max_over_time({series(alert, signal)}[{duration(alert.window_seconds)}])) == 1"

    def courses(alert: Alert, steps: int) -> Iterator[Course]:
        one = series(alert, signal).example(**_INSTANCE)
        yield Course("fires while the alarm is on", {one: f"{steady(0, steps - 3)} {steady(1, 2)}"}, {})
        yield Course("stays silent while the alarm is off", {one: steady(0, steps)})

    return Kind("broker", expression, courses, inhibits="memory", inhibited_by=("service",))


def _unroutable(alert: Alert) -> str:
    return increased(series(alert, Signal.UNROUTABLE), alert.window_seconds)


def _unroutable_courses(alert: Alert, steps: int) -> Iterator[Course]:
    yield from counted(
        series(alert, Signal.UNROUTABLE).example(**_INSTANCE), steps, "message without a queue"
    )


_SAYS = ("Memory in use: {}.", SHARE)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "RedisBrokerMemoryHigh": Kind(
            "broker", _memory, _memory_courses, _SAYS, inhibited_by=("service", "memory")
        ),
        "RedisBrokerMemoryCritical": Kind(
            "broker", _memory, _memory_courses, _SAYS, inhibits="memory", inhibited_by=("service",)
        ),
        "RedisBrokerNoMaxmemory": Kind("broker", _no_limit, _no_limit_courses),
        "RedisBrokerEvicting": Kind("broker", _evicting, _evicting_courses),
        "RedisBrokerUnsafePolicy": Kind("broker", _unsafe_policy, _unsafe_policy_courses),
        "RabbitMQMemoryAlarm": _alarm(Signal.MEMORY_ALARM),
        "RabbitMQDiskAlarm": _alarm(Signal.DISK_ALARM),
        "RabbitMQMemoryHigh": Kind(
            "broker", _memory, _memory_courses, _SAYS, inhibited_by=("service", "memory")
        ),
        "RabbitMQUnroutable": Kind("broker", _unroutable, _unroutable_courses),
    }
)
