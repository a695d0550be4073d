"""What each source of metrics measures: the metric and the labels of each signal.

`tests/data/scrapes` has real scrapes, and a test holds each metric and label here against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from policycompiler.knowledge.metric_sources import SOURCES


class Signal(StrEnum):
    """Something that a rule compares. The value says it in a sentence."""

    LENGTH = "the length of a queue"
    WORKERS = "the worker processes of a queue"
    SENT = "sent tasks"
    STARTED = "started runs"
    SUCCEEDED = "runs that succeeded"
    FAILED = "runs that failed"
    RETRIED = "runs that are retried"
    KILLED = "runs that were killed"
    UNREGISTERED = "messages of unknown tasks"
    WAIT = "the wait in a queue"
    RUN = "run times"
    UNACKED = "messages that workers hold"
    WORKER_UP = "each worker process by name"
    PAYLOAD = "messages above their declared size"
    PLAN = "the plan that each process runs"
    TICK = "the ticks of beat"
    BEAT_START = "the start of beat"
    DISPATCH = "the sends of each schedule"
    LAST_SUCCESS = "the last success of each task"
    MEMORY = "the memory of the broker"
    MEMORY_LIMIT = "the memory limit of the broker"
    MEMORY_ALARM = "the memory alarm of the broker"
    DISK_ALARM = "the disk alarm of the broker"
    EVICTED = "keys that the broker evicted"
    INSTANCE = "the settings of the broker"
    UNROUTABLE = "messages without a queue"
    BROKER_UP = "whether the broker answers its exporter"
    PARKED = "runs that are parked"
    HELD = "tasks that wait for a rate or a key"
    BREAKER = "open breakers"
    LOST_CLAIM = "runs that lost their claim"
    POISONED = "tasks that failed after many lost runs"
    STORE_UP = "whether workers reach the store of guards"


class Metric(NamedTuple):
    """A metric, the labels that name a queue and a task, and labels with fixed values.

    `queue` and `task` are empty if the metric has no such label. A fixed label has one of several values.
    If `lists`, the label `queue` has the name of each list in which the broker keeps messages of a queue.
    `buckets` are the upper bounds of a histogram in seconds, None if the plan decides them, else empty.
    """

    name: str
    queue: str = ""
    task: str = ""
    labels: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    buckets: tuple[float, ...] | None = ()
    lists: bool = False


_FAILED = ("failed", "hard_killed", "rejected")
_KILLED = ("TimeLimitExceeded", "ExceptionWithTraceback", "WorkerLostError")
"""celery-exporter writes `ExceptionWithTraceback` for a run that the hard time limit of Celery 5.7 ends."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The default of prometheus_client, which celery-exporter and Flower use."""


def _of_telemetry(name: str, *outcomes: str, buckets: bool = False) -> Metric:
    labels = {"outcome": outcomes} if outcomes else {}
    return Metric(f"policycompiler_{name}", "queue", "task", labels, None if buckets else ())


def _of_guards(name: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"policycompiler_guard_{name}", "", "task", labels)


def _of_exporter(name: str, *exceptions: str) -> Metric:
    labels = {"exception": exceptions} if exceptions else {}
    return Metric(f"celery_task_{name}_total", "queue_name", "name", labels)


def _of_flower(kind: str) -> Metric:
    return Metric("flower_events_total", "", "task", {"type": (f"task-{kind}",)})


_TELEMETRY = {
    Signal.WORKERS: Metric("policycompiler_worker_consumes", "queue"),
    Signal.STARTED: _of_telemetry("task_starts_total"),
    Signal.SUCCEEDED: _of_telemetry("task_outcomes_total", "succeeded"),
    Signal.FAILED: _of_telemetry("task_outcomes_total", *_FAILED),
    Signal.RETRIED: _of_telemetry("task_outcomes_total", "retried"),
    Signal.KILLED: _of_telemetry("task_outcomes_total", "hard_killed"),
    Signal.UNREGISTERED: _of_telemetry("task_outcomes_total", "unregistered"),
    Signal.WAIT: _of_telemetry("task_wait_seconds", buckets=True),
    Signal.RUN: _of_telemetry("task_run_seconds", buckets=True),
    Signal.PAYLOAD: _of_telemetry("payload_over_bound_total"),
    Signal.LAST_SUCCESS: Metric("policycompiler_task_last_success_timestamp_seconds", "", "task"),
    Signal.PLAN: Metric("policycompiler_plan_info"),
    Signal.TICK: Metric("policycompiler_beat_last_tick_timestamp_seconds"),
    Signal.BEAT_START: Metric("policycompiler_beat_started_timestamp_seconds"),
    Signal.DISPATCH: Metric("policycompiler_beat_last_dispatch_timestamp_seconds"),
    Signal.PARKED: _of_telemetry("task_outcomes_total", "parked"),
    Signal.HELD: _of_guards("parked_total", reason=("busy", "rate")),
    Signal.LOST_CLAIM: _of_guards("lost_claims_total"),
    Signal.POISONED: _of_guards("poisoned_total"),
    Signal.BREAKER: Metric("policycompiler_guard_breaker_state", labels={"state": ("open",)}),
    Signal.STORE_UP: Metric("policycompiler_guard_store_up"),
}
_CELERY_EXPORTER = {
    Signal.LENGTH: Metric("celery_queue_length", "queue_name"),
    Signal.WORKERS: Metric("celery_active_worker_count", "queue_name"),
    Signal.SENT: _of_exporter("sent"),
    Signal.STARTED: _of_exporter("started"),
    Signal.SUCCEEDED: _of_exporter("succeeded"),
    Signal.FAILED: _of_exporter("failed"),
    Signal.RETRIED: _of_exporter("retried"),
    Signal.KILLED: _of_exporter("failed", *_KILLED),
    Signal.UNREGISTERED: _of_exporter("failed", "NotRegistered"),
    Signal.RUN: Metric("celery_task_runtime", "queue_name", "name", buckets=_BUCKETS),
    Signal.WORKER_UP: Metric("celery_worker_up"),
}
_FLOWER = {
    Signal.SENT: _of_flower("sent"),
    Signal.STARTED: _of_flower("started"),
    Signal.SUCCEEDED: _of_flower("succeeded"),
    Signal.FAILED: _of_flower("failed"),
    Signal.RETRIED: _of_flower("retried"),
    Signal.RUN: Metric("flower_task_runtime_seconds", "", "task", buckets=_BUCKETS),
}
_REDIS = {
    Signal.LENGTH: Metric("redis_key_size", "key", lists=True),
    Signal.BROKER_UP: Metric("redis_up"),
    Signal.MEMORY: Metric("redis_memory_used_bytes"),
    Signal.MEMORY_LIMIT: Metric("redis_memory_max_bytes"),
    Signal.EVICTED: Metric("redis_evicted_keys_total"),
    Signal.INSTANCE: Metric("redis_instance_info"),
}
_RABBITMQ = {
    Signal.LENGTH: Metric("rabbitmq_detailed_queue_messages_ready", "queue"),
    Signal.WORKERS: Metric("rabbitmq_detailed_queue_consumers", "queue"),
    Signal.UNACKED: Metric("rabbitmq_detailed_queue_messages_unacked", "queue"),
    Signal.MEMORY: Metric("rabbitmq_process_resident_memory_bytes"),
    Signal.MEMORY_LIMIT: Metric("rabbitmq_resident_memory_limit_bytes"),
    Signal.MEMORY_ALARM: Metric("rabbitmq_alarms_memory_used_watermark"),
    Signal.DISK_ALARM: Metric("rabbitmq_alarms_free_disk_space_watermark"),
    Signal.UNROUTABLE: Metric("rabbitmq_global_messages_unroutable_dropped_total"),
}

OF_GUARDS = frozenset(
    {
        *(Signal.PARKED, Signal.HELD, Signal.BREAKER),
        *(Signal.LOST_CLAIM, Signal.POISONED, Signal.STORE_UP),
    }
)
"""What only processes with guards can measure."""

SIGNALS: Mapping[str, Mapping[Signal, Metric]] = MappingProxyType(
    {
        "telemetry": MappingProxyType(_TELEMETRY),
        "celery-exporter": MappingProxyType(_CELERY_EXPORTER),
        "flower": MappingProxyType(_FLOWER),
        "redis-exporter": MappingProxyType(_REDIS),
        "rabbitmq": MappingProxyType(_RABBITMQ),
    }
)
"""By the names of the sources."""


def source_of(signal: Signal, sources: Sequence[str]) -> str | None:
    """The first of these sources that has a signal."""
    return next((source for source in sources if signal in SIGNALS[source]), None)


def selected_labels(source: str) -> frozenset[str]:
    """The labels of a source whose values a rule selects: names, outcomes, buckets, and the service."""
    metrics = SIGNALS[source].values()
    names = {label for each in metrics for label in (each.queue, each.task, *each.labels) if label}
    buckets = {"le"} if any(each.buckets != () for each in metrics) else set()
    return frozenset(names | buckets | ({"service"} if SOURCES[source].in_workers else set()))
