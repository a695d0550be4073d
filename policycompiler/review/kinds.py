"""What a setting is about, in the words of a review."""

from __future__ import annotations

from policycompiler.plan import Scope

_DELIVERY = (
    *("acks_late", "acks_on_failure", "acks_on_timeout", "acks_on_failure_or_timeout"),
    *("reject_on_worker_lost", "retry_on_worker_lost", "delivery_mode"),
)
_RETRIES = (
    *("autoretry_for", "dont_autoretry_for", "max_retries", "default_retry_delay", "retry_kwargs"),
    *("retry_backoff", "retry_backoff_max", "retry_jitter"),
)
_RESULTS = ("ignore_result", "store_errors_even_if_ignored", "track_started", "store_eager_result")

_OPTIONS: dict[str, str] = {
    **dict.fromkeys(_DELIVERY, "task-delivery"),
    **dict.fromkeys(_RETRIES, "task-retries"),
    **dict.fromkeys(_RESULTS, "task-results"),
    **dict.fromkeys(("time_limit", "soft_time_limit"), "task-limits"),
    "expires": "task-expiry",
    "priority": "task-priority",
    "serializer": "serialization",
    "compression": "serialization",
}
"""Options of a task, and by the same names, after `task_`, of tasks that nobody declared."""

_APP: dict[str, str] = {
    **{f"task_{option}": kind for option, kind in _OPTIONS.items()},
    **dict.fromkeys(("accept_content", "result_accept_content", "result_serializer"), "serialization"),
    **dict.fromkeys(("result_compression",), "serialization"),
    **dict.fromkeys(("database_table_names", "database_table_schemas"), "results"),
    **dict.fromkeys(("visibility_timeout_seconds", "longest_hold_seconds"), "visibility-timeout"),
    **dict.fromkeys(
        ("broker_transport", "broker_url", "broker_url_variable", "broker_version", "celery_version"),
        "broker",
    ),
    **dict.fromkeys(
        ("user", "executable", "working_directory", "environment_file", "state_directory"), "installation"
    ),
    **dict.fromkeys(("app", "service", "namespace"), "installation"),
    "longest_run_seconds": "task-limits",
    "task_default_queue": "task-moved",
    "task_default_delivery_mode": "task-delivery",
    "task_default_priority": "task-priority",
    "owner": "task-facts",
}

_PREFIXES: tuple[tuple[str, str], ...] = (("result_", "results"), ("broker_", "broker"))

_OTHERS: dict[tuple[str, str], str] = {
    ("task", "queue"): "task-moved",
    ("task", "longest_run_seconds"): "task-limits",
    ("task", "limits_assumed"): "task-limits",
    ("task", "external"): "task-external",
    ("task", "renamed_from"): "task-renamed",
    ("queue", "arguments"): "queue-arguments",
    ("queue", "exchange_type"): "queue-arguments",
    ("queue", "dead_letter_arguments"): "queue-arguments",
    ("queue", "dead_letter_queue"): "queue-arguments",
    ("queue", "exchange"): "queue-binding",
    ("queue", "routing_key"): "queue-binding",
    ("queue", "latency"): "queue-promise",
    ("queue", "queue_wait_seconds"): "queue-promise",
    ("queue", "owner"): "queue-promise",
    ("worker", "queues"): "worker-queues",
    ("worker", "pool"): "worker-pool",
    ("worker", "concurrency"): "capacity",
    ("worker", "replicas"): "capacity",
    ("worker", "autoscale"): "capacity",
    ("worker", "memory_bytes"): "capacity",
    ("worker", "prefetch_multiplier"): "worker-prefetch",
    ("worker", "disable_prefetch"): "worker-prefetch",
    ("worker", "stop_timeout_seconds"): "worker-grace",
    ("beat", "host"): "beat-moved",
}

_KNOWN: dict[str, tuple[str, frozenset[str]]] = {
    "task": (
        "task-facts",
        frozenset(
            {"burst", "canvas", "critical", "description", "idempotent", "latency"}
            | {"mandatory", "max_countdown_seconds", "owner", "payload_bytes"}
            | {"rate_mean_per_second", "rate_peak_per_second", "runbook"}
            | {"runtime_mean_seconds", "runtime_p50_seconds", "runtime_p99_seconds", "sent_as"}
            | {"work", "workers"}
        ),
    ),
    "queue": (
        "queue-options",
        frozenset(
            {"broadcast", "consumer_arguments", "consumer_timeout_seconds", "external"} | {"tasks", "workers"}
        ),
    ),
    "worker": (
        "worker-options",
        frozenset(
            {"command_prefix", "description", "environment", "heartbeat_interval"}
            | {"log_level", "max_memory_per_child", "max_tasks_per_child", "node_name"}
            | {"optimization", "task_events", "tasks", "without_gossip", "without_heartbeat"}
            | {"without_mingle"}
        ),
    ),
    "schedule": (
        "schedule-options",
        frozenset(
            {"args", "cron", "description", "every_seconds", "kwargs", "options", "owner"}
            | {"solar", "task", "timezone"}
        ),
    ),
    "beat": (
        "beat-options",
        frozenset(
            {"expiry_option", "log_level", "max_interval_seconds", "scheduler"}
            | {"stop_timeout_seconds", "store"}
        ),
    ),
}
"""The other keys that there are."""
_ALL = {"disabled_schedule": "disabled_schedule-changed", "alert": "alert-changed"}
UNKNOWN = "unknown"


def kind_of(scope: Scope, key: str) -> str:
    """The kind of change that a setting's difference is."""
    if scope.kind == "app":
        found = _APP.get(key)
        return found or next((kind for start, kind in _PREFIXES if key.startswith(start)), "app-setting")
    if scope.kind == "task" and key.startswith("options."):
        return _OPTIONS.get(key.removeprefix("options."), "task-options")
    if (found := _OTHERS.get((scope.kind, key)) or _ALL.get(scope.kind)) is not None:
        return found
    kind, known = _KNOWN.get(scope.kind, (UNKNOWN, frozenset()))
    return kind if key in known else UNKNOWN
