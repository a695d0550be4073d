"""The programs whose metrics Prometheus scrapes, one frozen record each.

A rule reads a signal, such as the length of a queue. `docs/monitoring.md` is about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """A job of Prometheus: where a source answers, how long an answer takes at least and may take."""

    job: str
    path: str = "/metrics"
    families: tuple[str, ...] = ()
    interval_seconds: int = 15
    timeout_seconds: int = 10
    answer_seconds: float = 0


@dataclass(frozen=True, kw_only=True)
class Source:
    """A program that has metrics.

    `job` is the job of Prometheus that scrapes it, and `label` is its name in sentences. `broker` is the
    transport whose server it measures, None if it measures Celery. A source that `reads_events` needs a
    broker that transports task events. One that is `in_workers` runs in the processes of the service, and its
    series have the label `service`. `queue_job` scrapes the metrics of single queues, if another job does.
    `matchers` is the parameter of the policy `alerts` with the labels of its series.
    `alert_prefix` begins the names of alerts on the broker. One that `fails_with_broker` has no metrics while
    the broker is down. `queue_option` is its option with the queues that it counts, empty if it counts all.
    `port` is the one on which it listens by default, None if the plan has the ports.
    `scrapes` are its jobs. `nameless` is what it calls a task whose name it does not know.
    """

    name: str
    label: str
    job: str
    broker: str | None
    reads_events: bool
    matchers: str
    port: int | None
    scrapes: tuple[Scrape, ...]
    in_workers: bool = False
    queue_job: str = ""
    alert_prefix: str = ""
    fails_with_broker: bool = False
    queue_option: str = ""
    nameless: str = ""

    def own_labels(
        self, service: str, matchers: Mapping[str, Mapping[str, str]], *, of_queue: bool = False
    ) -> dict[str, str]:
        """The labels of the series of a service: a matcher of the source may replace the default job."""
        job = self.queue_job if of_queue and self.queue_job else self.job
        return {**({"service": service} if self.in_workers else {"job": job}), **matchers.get(self.name, {})}


TELEMETRY = Source(
    name="telemetry",
    label="the telemetry of this service",
    job="celery-telemetry",
    matchers="telemetry_matchers",
    broker=None,
    reads_events=False,
    in_workers=True,
    nameless="unknown",
    port=None,
    scrapes=(Scrape(job="celery-telemetry"),),
)
CELERY_EXPORTER = Source(
    name="celery-exporter",
    label="celery-exporter",
    job="celery-exporter",
    fails_with_broker=True,
    queue_option="-Q",
    nameless="None",
    matchers="exporter_matchers",
    broker=None,
    reads_events=True,
    port=9808,
    # It waits twice for answers of workers, each time 1 s.
    scrapes=(Scrape(job="celery-exporter", interval_seconds=30, timeout_seconds=15, answer_seconds=2),),
)
FLOWER = Source(
    name="flower",
    label="Flower",
    job="flower",
    matchers="flower_matchers",
    broker=None,
    reads_events=True,
    port=5555,
    scrapes=(Scrape(job="flower"),),
)
REDIS_EXPORTER = Source(
    name="redis-exporter",
    label="redis_exporter",
    job="redis",
    matchers="broker_matchers",
    broker="redis",
    alert_prefix="RedisBroker",
    queue_option="-check-single-keys",
    reads_events=False,
    port=9121,
    scrapes=(Scrape(job="redis"),),
)
RABBITMQ = Source(
    name="rabbitmq",
    label="the Prometheus plugin of RabbitMQ",
    job="rabbitmq",
    matchers="broker_matchers",
    broker="rabbitmq",
    alert_prefix="RabbitMQ",
    reads_events=False,
    queue_job="rabbitmq-detailed",
    port=15692,
    # Only the first has alarms and memory, only the second has queues.
    scrapes=(
        Scrape(job="rabbitmq"),
        Scrape(
            job="rabbitmq-detailed",
            path="/metrics/detailed",
            families=("queue_coarse_metrics", "queue_consumer_count"),
        ),
    ),
)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {each.name: each for each in (TELEMETRY, CELERY_EXPORTER, FLOWER, REDIS_EXPORTER, RABBITMQ)}
)
"""By the names in the policy file. A rule reads the first of the chosen ones that has its signal."""
