"""Alerts of the whole service: nobody watches it, or it has no broker."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, Decision, Plan
from policycompiler.policies.watching.alerts.alert import PAGE, constant, decide, patience
from policycompiler.policies.watching.alerts.first_steps import ask_broker
from policycompiler.policies.watching.alerts.tuned import Parameters

BROKER_PATIENCE_SECONDS = 60
"""Two scrapes: without a broker nothing runs and nothing can be sent."""


def exporter_down(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Nothing is measured, so that no other alert can fire."""
    choices = {
        "severity": constant("PAGE", PAGE, "no other Celery alert can fire meanwhile"),
        "for_seconds": patience(tuned, "longer than a restart of the exporter"),
    }
    description = (
        "celery-exporter cannot be scraped, or nobody scrapes it: no other Celery alert can fire. "
        "It also answers with an error while the broker is down. "
        "First: curl the /metrics of celery-exporter, then restart its unit."
    )
    summary = f"{plan.text(APP, 'service')}: nobody watches Celery"
    yield from decide(plan, "CeleryExporterDown", None, choices, summary, description, tuned)


def broker_down(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Nothing is sent and nothing runs."""
    choices = {
        "severity": constant("PAGE", PAGE, "without a broker nothing is sent and nothing runs"),
        "for_seconds": constant(
            "BROKER_PATIENCE_SECONDS", BROKER_PATIENCE_SECONDS, "one failed scrape is no outage"
        ),
    }
    transport = plan.text(APP, "broker_transport")
    description = (
        f"{transport} or its metrics cannot be reached. Tasks are neither sent nor run. "
        f"{ask_broker(transport)}"
    )
    summary = f"{plan.text(APP, 'service')}: the broker is down"
    yield from decide(plan, "CeleryBrokerDown", None, choices, summary, description, tuned)
