"""Words from other tools, and the matching words of a workload or a policy file."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from policycompiler.knowledge.brokers import BROKERS
from policycompiler.model.policy_file import Custom, PolicyFile, Promise, WaiverRules
from policycompiler.model.workload.app import Broker, Results
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.schedules import Schedule
from policycompiler.model.workload.tasks import Retry, Runtime, TaskFields, TaskOptions
from policycompiler.model.workload.workers import Host, Worker

_PUBLISHING = (
    "write `default_retry_delay` for the wait before a retry; "
    "for publishing, write `celery.settings.task_publish_retry_policy`"
)
_SCHEDULE = "write a schedule in its own section: `schedules: {NAME: {task: …, every: …}}`"
_SLOTS = "write `concurrency`, a number of slots or `{min: 2, max: 10}`"
_BROKER_TLS = "write `celery: {settings: {broker_use_ssl: …}}`"
_OPTIONS = {
    "acks_on_failure_or_timeout": "write `acks_on_failure: false`; Celery 5.7 ignores this in an annotation",
    **dict.fromkeys(("interval_start", "interval_step", "interval_max"), _PUBLISHING),
    "retry_kwargs": "write `max_retries` and `default_retry_delay`",
}
KEYS: Mapping[type[BaseModel], Mapping[str, str]] = {
    TaskOptions: _OPTIONS,
    TaskFields: {
        **_OPTIONS,
        "max_retries": "write `retry: {max: …}`, or pin the Celery option: `options: {max_retries: …}`",
        "retries": "write `retry: {max: …}`, or `retry: none`",
        "retry_delay": "write `retry: {delay: …}`",
        "timeout": "write `runtime: {p99: …}`, which sets the time limits, or pin `options: {time_limit: …}`",
        "ignore_result": "write `result: ignore` or `result: keep`",
        "countdown": "write `max_countdown`, the longest countdown of a producer",
        "eta": "write `max_countdown`, the longest countdown of a producer",
        **dict.fromkeys(("interval", "every", "cron", "crontab", "schedule"), _SCHEDULE),
    },
    Retry: {
        **dict.fromkeys(("max_retries", "count", "times", "retries", "attempts"), "write `max`"),
        **dict.fromkeys(("countdown", "default_retry_delay", "wait", "interval"), "write `delay`"),
        **dict.fromkeys(("retry_backoff_max", "backoff_max", "max_backoff"), "write `max_delay`"),
        **dict.fromkeys(("backoff", "retry_backoff"), "write `delay` and `max_delay`; waits always double"),
        **dict.fromkeys(("autoretry_for", "exceptions", "errors", "for"), "write `on`"),
        "retry_jitter": "write `jitter`",
    },
    Runtime: {
        **dict.fromkeys(("max", "maximum", "worst"), "write `p99`"),
        **dict.fromkeys(("avg", "average", "mean", "median", "typical"), "write `p50`"),
    },
    Worker: {
        **dict.fromkeys(("autoscale", "processes", "slots", "threads", "autoscaler"), _SLOTS),
        **dict.fromkeys(("instances", "count", "scale"), "write `replicas`"),
        "env": "write `environment`",
        "timeout": "write `stop_timeout`",
        "host": "write `hosts: {NAME: {workers: {…}}}`",
        "hostname": "write `node_name`; Celery adds the host name",
        "tasks": "write `queues` here, and `queue` in each task",
    },
    Broker: {
        **dict.fromkeys(("ssl", "tls", "use_ssl"), _BROKER_TLS),
        **dict.fromkeys(
            ("host", "hostname", "port", "db", "user", "username", "password", "virtual_host", "vhost"),
            "write it in the URL, as in `url: ${CELERY_BROKER_URL}`",
        ),
        "type": "write `transport`",
        "backend": "write `transport`",
    },
    Results: {
        **dict.fromkeys(("expires", "ttl", "retention"), "write `keep`"),
        **dict.fromkeys(("ssl", "tls", "use_ssl"), "write `celery: {settings: {redis_backend_use_ssl: …}}`"),
        "transport": "write `backend`",
        "type": "write `backend`",
    },
    Queue: {
        **dict.fromkeys(("max_priority", "priority"), "write `priorities`, the number of priority levels"),
        **dict.fromkeys(
            ("dlq", "dlx", "dead_letter_queue", "dead_letter_exchange"), "write `dead_letter: true`"
        ),
        "max_length": "write `arguments: {x-max-length: …}`",
        "ttl": "write `arguments: {x-message-ttl: …}`",
        "binding_key": "write `routing_key`",
        "queue_arguments": "write `arguments`",
    },
    Schedule: {
        **dict.fromkeys(("interval", "period", "seconds", "run_every"), "write `every`, as in `every: 30s`"),
        "crontab": 'write `cron`, as in `cron: "0 3 * * *"`',
        "schedule": 'write `every: 30s`, `cron: "0 3 * * *"` or `solar`',
        "name": "write `task`, the full name of the task",
    },
    Host: {
        **dict.fromkeys(("cpus", "cpu", "vcpus"), "write `cores`"),
        "ram": "write `memory`",
    },
    PolicyFile: {"profile": "write `extends`", "allow": "write `severities: {NAME: off}`"},
    WaiverRules: dict.fromkeys(("max", "max_days", "max_age", "expires", "days"), "write `longest`"),
    Promise: {
        **dict.fromkeys(("wait", "queue_wait", "latency"), "write `queue_wait_p99`"),
        **dict.fromkeys(("runtime", "runtime_p99", "limit"), "write `runtime_p99_limit`"),
    },
    Custom: {
        **dict.fromkeys(("expression", "cel", "rule", "condition", "if"), "write `when`"),
        **dict.fromkeys(("level", "kind"), "write `severity`"),
    },
}
"""Words from other tools, by the part in which people write them."""

SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(
        ("worker_autoscale", "autoscale"), "write `workers.NAME.concurrency`, such as `{min: 2, max: 10}`"
    ),
    **dict.fromkeys(("redis_url", "amqp_url"), "write `broker.url`"),
    **dict.fromkeys(("ssl", "use_ssl", "tls"), "write `broker_use_ssl` or `redis_backend_use_ssl`"),
    **dict.fromkeys(
        ("prefetch", "prefetch_multiplier", "prefetch_count"), "write `worker_prefetch_multiplier`"
    ),
    **dict.fromkeys(
        ("broker_visibility_timeout", "redis_visibility_timeout"), "write `broker.visibility_timeout`"
    ),
    **dict.fromkeys(("result_ttl", "result_timeout"), "write `results.keep`"),
    **dict.fromkeys(("redis_ssl", "redis_use_ssl"), "write `broker_use_ssl` or `redis_backend_use_ssl`"),
    **dict.fromkeys(("max_retries", "retries", "task_max_retries"), "write `tasks.NAME.retry.max`"),
    "worker_hostname": "write `workers.NAME.node_name`",
    "worker_queues": "write `workers.NAME.queues`",
    "worker_replicas": "write `workers.NAME.replicas`",
}
"""Words that people write in place of Celery settings."""

MISSING: Mapping[type, Mapping[str, str]] = {
    Broker: {"url": "add `url: ${CELERY_BROKER_URL}`, or `url: app` if the application sets the URL itself"},
}
"""What to write for a missing key, by the part that needs it, where the name of the key is not enough."""

VALUES: Mapping[str, Mapping[str, str]] = {
    "extends": {
        **dict.fromkeys(("asis", "as_is", "today", "unchanged"), "as-is"),
        **dict.fromkeys(("normal", "default"), "standard"),
        "all": "strict",
        "none": "minimal",
    },
    "transport": {alias: name for name, known in BROKERS.items() for alias in known.aliases},
    "backend": {
        **dict.fromkeys(("db", "sqlalchemy", "postgres", "postgresql", "mysql", "sqlite"), "database"),
        **dict.fromkeys(("rediss", "sentinel", "valkey"), "redis"),
        **dict.fromkeys(("amqp", "rabbitmq"), "rpc"),
        **dict.fromkeys(("cache", "memcache"), "memcached"),
        **dict.fromkeys(("false", "disabled", "off"), "none"),
    },
    "work": {**dict.fromkeys(("network", "async"), "io"), **dict.fromkeys(("compute", "process"), "cpu")},
}
"""Synonyms of the allowed words, from Celery's configuration and from common language."""
