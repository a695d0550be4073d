"""What Celery does with a value that nobody sets, beside the defaults of its settings.

`tests/knowledge/test_defaults.py` compares each with the installed Celery.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import JsonValue

from policycompiler.knowledge import celery_settings

RETRIES: Mapping[str, JsonValue] = MappingProxyType(
    {
        "max_retries": 3,
        "default_retry_delay": 180,
        "retry_backoff_max": 600,
        "retry_jitter": True,
    }
)
"""Options of retries, which no setting changes; without `retry_backoff` the wait is the default delay."""

OF_SETTINGS: Mapping[str, tuple[str, JsonValue]] = MappingProxyType(
    {
        "acks_late": ("task_acks_late", False),
        "acks_on_failure": ("task_acks_on_failure", True),
        "acks_on_timeout": ("task_acks_on_timeout", True),
        "ignore_result": ("task_ignore_result", False),
        "reject_on_worker_lost": ("task_reject_on_worker_lost", False),
        "retry_on_worker_lost": ("task_retry_on_worker_lost", False),
        "soft_time_limit": ("task_soft_time_limit", None),
        "store_errors_even_if_ignored": ("task_store_errors_even_if_ignored", False),
        "time_limit": ("task_time_limit", None),
    }
)
"""Task options with the setting that applies to a task without the option, and the effect of no setting."""

WORKER: Mapping[str, tuple[str, JsonValue]] = MappingProxyType(
    {
        "pool": ("worker_pool", "prefork"),
        "prefetch_multiplier": ("worker_prefetch_multiplier", 4),
        "disable_prefetch": ("worker_disable_prefetch", False),
        "max_tasks_per_child": ("worker_max_tasks_per_child", None),
        "max_memory_per_child": ("worker_max_memory_per_child", None),
        "task_events": ("worker_send_task_events", False),
        "without_gossip": ("", False),
        "without_mingle": ("", False),
        "without_heartbeat": ("", False),
        "log_level": ("", "WARNING"),
        "node_name": ("", "celery@%h"),
        "node_name_is_whole": ("", True),
    }
)
"""Options of a worker with the setting that applies without the option, and the effect of neither."""

BEAT_LOG_LEVEL = "WARNING"
EXCHANGE_TYPE = "direct"
QUEUE_TYPE = "classic"


EFFECTS: Mapping[str, JsonValue] = MappingProxyType(
    {
        "broker_connection_retry_on_startup": True,
        "task_reject_on_worker_lost": False,
        "timezone": "UTC",
    }
)
"""What Celery does with a setting whose default is null."""


def of_setting(name: str, version: str) -> JsonValue:
    """The effect of a setting that nobody sets, in a version of Celery."""
    found = celery_settings.known("settings", version).get(name, {}).get("default")
    return EFFECTS.get(name) if found is None else found


def has_setting(name: str, version: str) -> bool:
    """Whether a version of Celery has a setting."""
    return name in celery_settings.known("settings", version)
