"""Whose metrics the alert rules, the dashboard and the scrape configuration name.

Decides:
    `app/metric_sources`.

Because:
    Teams run different exporters. A rule on a metric that nobody scrapes never fires. Most teams have
    celery-exporter and the exporter of their broker, so these are the default. Only the telemetry of this
    service measures how long a task waits in its queue. It also measures beat.

    A policy file may name the exporters of several brokers. A service has only those of its own broker.
    celery-exporter and Flower read task events, which only Redis and RabbitMQ transport.

Example:
    tasks: {shop.mail.send: {}}

    app/metric_sources = ["celery-exporter", "redis-exporter"]

Refuses:
    Nothing.

Parameters:
    `sources`: the sources of metrics, best first; if null, celery-exporter and the broker's exporter; null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from policycompiler.knowledge.metric_sources import CELERY_EXPORTER, SOURCES
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Value

NAME = "metric-sources"

SourceName = Literal["telemetry", "celery-exporter", "flower", "redis-exporter", "rabbitmq"]

CELERY_SOURCE = CELERY_EXPORTER.name
"""The exporter of Celery that most teams run."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    sources: list[SourceName] | None = Field(
        None,
        description="sources of metrics, best first; if null, celery-exporter and the broker's exporter",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """The sources that can measure this service."""
    del spec
    transport = plan.text(APP, "broker_transport")
    of_broker = [name for name, each in SOURCES.items() if each.broker == transport]
    given: list[str] = [CELERY_SOURCE, *of_broker]
    origin: Origin = Constant("CELERY_SOURCE", CELERY_SOURCE)
    because = "celery-exporter is the most common source of metrics, and the broker has its own"
    if tuned.sources is not None:
        given = list(dict.fromkeys(tuned.sources))
        named: Value = [*given]
        origin = Parameter(("parameters", NAME, "sources"), named)
        because = "the policy file names these sources, and they can measure this broker"
    heard = plan.broker.metrics is not None
    fit: Value = [
        name
        for name in given
        if SOURCES[name].broker in {None, transport} and (heard or not SOURCES[name].reads_events)
    ]
    if fit:
        yield Decision(APP, "metric_sources", fit, because, (origin, Derived(APP, "broker_transport")))
