"""The names that an expression may use, by the kind of thing that has them and the type of their value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = {
    "task": "name queue owner description latency work runbook options.compression options.rate_limit "
    "options.serializer",
    "queue": "name type owner latency exchange exchange_type routing_key dead_letter_queue",
    "worker": "name pool node_name log_level optimization description",
    "schedule": "name task owner description timezone",
    "app": "service app owner broker_transport broker_version celery_version namespace task_default_queue",
}
FLAGS: Mapping[str, str] = {
    "task": "external idempotent critical limits_assumed options.acks_late options.acks_on_failure "
    "options.acks_on_timeout options.ignore_result options.reject_on_worker_lost "
    "options.retry_on_worker_lost options.retry_jitter options.track_started "
    "options.store_errors_even_if_ignored",
    "queue": "broadcast external",
    "worker": "disable_prefetch task_events without_gossip without_heartbeat without_mingle",
    "schedule": "",
    "app": "task_acks_late task_ignore_result",
}
LISTS: Mapping[str, str] = {
    "task": "workers canvas renamed_from options.autoretry_for options.dont_autoretry_for options.throws",
    "queue": "tasks workers",
    "worker": "queues tasks command_prefix",
    "schedule": "args",
    "app": "accept_content",
}
MAPPINGS: Mapping[str, str] = {
    "task": "",
    "queue": "arguments consumer_arguments dead_letter_arguments",
    "worker": "environment autoscale",
    "schedule": "options kwargs",
    "app": "broker_transport_options",
}
NUMBERS: Mapping[str, str] = {
    "task": "runtime_p50_seconds runtime_p99_seconds runtime_mean_seconds rate_mean_per_second "
    "rate_peak_per_second max_countdown_seconds burst memory_bytes payload_bytes longest_run_seconds "
    "options.time_limit options.soft_time_limit options.max_retries options.retry_backoff "
    "options.retry_backoff_max options.default_retry_delay options.expires options.priority "
    "options.delivery_mode",
    "queue": "queue_wait_seconds consumer_timeout_seconds",
    "worker": "concurrency replicas memory_bytes prefetch_multiplier max_tasks_per_child "
    "max_memory_per_child stop_timeout_seconds heartbeat_interval time_limit soft_time_limit",
    "schedule": "every_seconds",
    "app": "visibility_timeout_seconds longest_hold_seconds longest_run_seconds task_time_limit "
    "task_soft_time_limit result_expires",
}

TYPES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"text": TEXTS, "flag": FLAGS, "list": LISTS, "mapping": MAPPINGS, "number": NUMBERS}
)


def listed() -> list[tuple[str, str, str]]:
    """For the manual: a kind, a type, and the names that it has of them."""
    return [
        (kind, each, ", ".join(f"{kind}.{key}" for key in table[kind].split()))
        for kind in TEXTS
        for each, table in TYPES.items()
        if table[kind]
    ]


def typed() -> dict[str, str]:
    """Every name with its type, such as `task.critical` with `flag`."""
    return {
        f"{kind}.{key}": each
        for kind in TEXTS
        for each, table in TYPES.items()
        for key in table[kind].split()
    }
