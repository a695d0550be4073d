"""Alerts on the whole service: celery-exporter or the broker is down."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, Decision, Plan
from policycompiler.policies.watching.alerts.alert import PAGE, constant, decide, patience
from policycompiler.policies.watching.alerts.first_steps import ask_broker
from policycompiler.policies.watching.alerts.tuned import Parameters

BROKER_PATIENCE_SECONDS = 60
"""Two scrapes: without a broker no task is sent and no task runs."""


def exporter_down(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Without metrics no other alert can fire."""
    choices = {
        "severity": constant("PAGE", PAGE, "no other Celery alert can fire while celery-exporter is down"),
        "for_seconds": patience(tuned, "a restart of celery-exporter is over by then"),
    }
    description = (
        "Prometheus cannot scrape celery-exporter, or has no target for it. No other Celery alert can fire. "
        "celery-exporter also returns an error while the broker is down. "
        "First: curl the /metrics of celery-exporter, then restart its unit."
    )
    summary = f"{plan.text(APP, 'service')}: Celery is not monitored"
    yield from decide(plan, "CeleryExporterDown", None, choices, summary, description, tuned)


def broker_down(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """No task is sent and no task runs."""
    choices = {
        "severity": constant("PAGE", PAGE, "without a broker no task is sent and no task runs"),
        "for_seconds": constant(
            "BROKER_PATIENCE_SECONDS", BROKER_PATIENCE_SECONDS, "a single failed scrape is not an outage"
        ),
    }
    transport = plan.text(APP, "broker_transport")
    description = (
        f"{transport} or its metrics exporter is unreachable. Without the broker no task is sent or run. "
        f"{ask_broker(transport)}"
    )
    summary = f"{plan.text(APP, 'service')}: the broker is down"
    yield from decide(plan, "CeleryBrokerDown", None, choices, summary, description, tuned)
