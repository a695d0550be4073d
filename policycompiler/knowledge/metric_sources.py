"""The programs whose metrics Prometheus scrapes, one frozen record each.

A rule reads a signal, such as the length of a queue. `docs/monitoring.md` says which source has which signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Source:
    """A program that has metrics.

    `job` is the job of Prometheus that scrapes it, and `label` is its name in sentences. `broker` is the
    transport whose server it measures, None if it measures Celery. A source that `reads_events` needs a
    broker that transports task events.
    """

    name: str
    label: str
    job: str
    broker: str | None
    reads_events: bool


TELEMETRY = Source(
    name="telemetry",
    label="the telemetry of this service",
    job="celery-telemetry",
    broker=None,
    reads_events=False,
)
CELERY_EXPORTER = Source(
    name="celery-exporter", label="celery-exporter", job="celery-exporter", broker=None, reads_events=True
)
FLOWER = Source(name="flower", label="Flower", job="flower", broker=None, reads_events=True)
REDIS_EXPORTER = Source(
    name="redis-exporter", label="redis_exporter", job="redis", broker="redis", reads_events=False
)
RABBITMQ = Source(
    name="rabbitmq",
    label="the Prometheus plugin of RabbitMQ",
    job="rabbitmq",
    broker="rabbitmq",
    reads_events=False,
)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {each.name: each for each in (TELEMETRY, CELERY_EXPORTER, FLOWER, REDIS_EXPORTER, RABBITMQ)}
)
"""By the names in the policy file. A rule reads the first of the chosen ones that has its signal."""
