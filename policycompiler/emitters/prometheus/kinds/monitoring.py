"""Alerts on the monitoring itself, and whether the broker answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.alert import Alert
from policycompiler.emitters.prometheus.courses import Course, Kind, steady
from policycompiler.emitters.prometheus.series import labeled, series, up
from policycompiler.knowledge.signals import Signal, source_of

_INSTANCE = "exporter:9808"


def _exporter_down(alert: Alert) -> str:
    scraped = up(alert, alert.sources[0])
    return f"{scraped} == 0 or absent({scraped})"


def _exporter_down_courses(alert: Alert, steps: int) -> Iterator[Course]:
    scraped = up(alert, alert.sources[0])
    of, one = dict(scraped.equal), scraped.example(instance=_INSTANCE)
    fires = {"instance": _INSTANCE, **of}
    yield Course("fires when the source cannot be scraped", {one: steady(0, steps)}, fires)
    yield Course("fires when Prometheus has no target for it", {}, of)
    other = labeled("up", {"instance": _INSTANCE, "job": "another"})
    series_of_both = {one: steady(1, steps), other: steady(0, steps)}
    yield Course("stays silent when another source is down", series_of_both)


def _telemetry_down(alert: Alert) -> str:
    return f"absent({series(alert, Signal.PLAN)})"


def _telemetry_down_courses(alert: Alert, steps: int) -> Iterator[Course]:
    plan = series(alert, Signal.PLAN)
    yield Course("fires when no process is scraped", {}, dict(plan.equal))
    other = {plan.example(service="another"): steady(1, steps)}
    yield Course("fires when only another service is scraped", other, dict(plan.equal))
    one = {plan.example(worker="any"): steady(1, steps)}
    yield Course("stays silent while one process is scraped", one)


def _measured(alert: Alert) -> bool:
    """Whether an exporter beside the broker says that it is down; else Prometheus scrapes the broker."""
    return source_of(Signal.BROKER_UP, alert.sources) is not None


def _broker_down(alert: Alert) -> str:
    return f"{series(alert, Signal.BROKER_UP)} == 0" if _measured(alert) else _exporter_down(alert)


def _broker_down_courses(alert: Alert, steps: int) -> Iterator[Course]:
    shown = series(alert, Signal.BROKER_UP) if _measured(alert) else up(alert, alert.sources[0])
    target = {"job": up(alert, alert.sources[0]).equal["job"], "instance": "broker:9121", **shown.equal}
    one = shown.example(**target)
    yield Course("fires when the broker is down", {one: steady(0, steps)}, target, "broker:9121")
    yield Course("stays silent while it answers", {one: steady(1, steps)})


def _plans_differ(alert: Alert) -> str:
    return f"count(count by (fingerprint) ({series(alert, Signal.PLAN)})) > 1"


def _plans_differ_courses(alert: Alert, steps: int) -> Iterator[Course]:
    plan = series(alert, Signal.PLAN)
    old, new = (plan.example(fingerprint=each, worker=each) for each in ("old", "new"))
    yield Course("fires while two plans run", {old: steady(1, steps), new: steady(1, steps)}, {}, "2")
    again = plan.example(fingerprint="old", worker="other")
    yield Course("stays silent while all run one", {old: steady(1, steps), again: steady(1, steps)})


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "CeleryBrokerDown": Kind(
            "monitoring",
            _broker_down,
            _broker_down_courses,
            ("The scrape target is {}.", "{{ $labels.instance }}"),
            inhibits="service",
        ),
        "CeleryExporterDown": Kind(
            "monitoring",
            _exporter_down,
            _exporter_down_courses,
            inhibits="metrics",
            inhibited_by=("service",),
        ),
        "CeleryTelemetryDown": Kind(
            "monitoring", _telemetry_down, _telemetry_down_courses, inhibited_by=("service",)
        ),
        "CeleryPlansDiffer": Kind(
            "monitoring",
            _plans_differ,
            _plans_differ_courses,
            ("Plans that run now: {}.", '{{ printf "%.0f" $value }}'),
        ),
    }
)
