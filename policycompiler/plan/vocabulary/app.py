"""The keys of `app`: facts about the service, and Celery settings."""

from __future__ import annotations

from policycompiler.knowledge.brokers import BROKERS
from policycompiler.plan.vocabulary import task
from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PEOPLE, _CONFIGURATION = readers(Reader.PEOPLE), readers(Reader.CONFIGURATION)
_COMMANDS = readers(Reader.WORKER, Reader.BEAT)
_SERVER = readers(Reader.SERVER)
_INSTALLATION, _BROKER = ChangeKind.INSTALLATION, ChangeKind.BROKER


def _installed(name: str, says: str) -> Key:
    return Key("app", name, Type.TEXT, _INSTALLATION, _COMMANDS, says)


def _notification(name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    key = f"notification_{name}"
    return Key("app", key, type_, ChangeKind.ALERT, readers(Reader.ALERT), says, unit)


FACTS = (
    Key(
        "app",
        "budget",
        Type.MAPPING,
        ChangeKind.CAPACITY,
        _PEOPLE,
        "`cores`, `memory_bytes` and `connections` that all workers together may take, if declared",
    ),
    Key(
        "app",
        "alerts_without_source",
        Type.MAPPING,
        ChangeKind.ALERT,
        readers(Reader.ALERT),
        "alerts that no source of metrics can show, and what none of them measures",
    ),
    Key(
        "app",
        "alert_minute_seconds",
        Type.NUMBER,
        ChangeKind.ALERT,
        readers(Reader.ALERT),
        "length of a minute in the times of all alerts, if it is not 60 s",
        Unit.SECONDS,
    ),
    Key(
        "app",
        "metric_sources",
        Type.TEXTS,
        ChangeKind.ALERT,
        readers(Reader.ALERT),
        "sources of metrics that Prometheus scrapes, best first",
    ),
    Key(
        "app",
        "telemetry_bind",
        Type.TEXT,
        ChangeKind.APP_SETTING,
        _CONFIGURATION,
        "address on which processes serve their own metrics; absent without them",
        local=True,
    ),
    Key(
        "app",
        "telemetry_wait_buckets",
        Type.LIST,
        ChangeKind.APP_SETTING,
        _CONFIGURATION,
        "upper bounds of the buckets for queue waits",
        Unit.SECONDS,
        local=True,
    ),
    Key(
        "app",
        "telemetry_run_buckets",
        Type.LIST,
        ChangeKind.APP_SETTING,
        _CONFIGURATION,
        "upper bounds of the buckets for run times",
        Unit.SECONDS,
        local=True,
    ),
    Key(
        "app",
        "log_format",
        Type.TEXT,
        ChangeKind.APP_SETTING,
        _CONFIGURATION,
        "`json` if workers and beat log lines of JSON; absent if Celery formats them",
        local=True,
    ),
    Key(
        "app",
        "traces",
        Type.FLAG,
        ChangeKind.APP_SETTING,
        _CONFIGURATION,
        "true if publishers and workers send traces of OpenTelemetry; absent otherwise",
        local=True,
    ),
    Key(
        "app",
        "exporter_key_prefix",
        Type.TEXT,
        ChangeKind.ALERT,
        readers(Reader.PEOPLE),
        "Redis: prefix of all keys, for celery-exporter",
        mirror=True,
    ),
    Key(
        "app",
        "exporter_python",
        Type.TEXT,
        ChangeKind.ALERT,
        readers(Reader.PEOPLE),
        "path of the Python with celery-exporter on a host, if units start it",
    ),
    Key(
        "app",
        "flower_celery",
        Type.TEXT,
        ChangeKind.ALERT,
        readers(Reader.PEOPLE),
        "path of a `celery` beside Flower on a host, if units start Flower",
    ),
    Key(
        "app",
        "scrape_targets",
        Type.MAPPING,
        ChangeKind.ALERT,
        readers(Reader.ALERT),
        "addresses of each source of metrics",
    ),
    Key(
        "app",
        "scrape_interval_seconds",
        Type.NUMBER,
        ChangeKind.ALERT,
        readers(Reader.ALERT),
        "time between two scrapes of a source, if the policy file sets it",
        Unit.SECONDS,
    ),
    _notification("receivers", Type.MAPPING, "receivers of notifications, by name"),
    _notification("routes", Type.MAPPING, "receiver of each severity, by team"),
    _notification("default", Type.TEXT, "receiver of all other alerts"),
    _notification(
        "group_wait_seconds", Type.NUMBER, "how long the first notification of a group waits", Unit.SECONDS
    ),
    _notification(
        "group_interval_seconds", Type.NUMBER, "how long the next notification of a group waits", Unit.SECONDS
    ),
    _notification("repeat_interval_seconds", Type.NUMBER, "when a notification is repeated", Unit.SECONDS),
    Key(
        "app",
        "service",
        Type.TEXT,
        _INSTALLATION,
        readers(Reader.WORKER, Reader.BEAT, Reader.ALERT, Reader.PEOPLE),
        "name of the service, used in all emitted names",
    ),
    _installed("app", "value of `celery --app`"),
    Key(
        "app",
        "owner",
        Type.TEXT,
        ChangeKind.TASK_FACTS,
        _PEOPLE,
        "team that owns everything without an owner",
    ),
    Key(
        "app",
        "policies",
        Type.TEXT,
        ChangeKind.POLICIES,
        _PEOPLE,
        "`as-is` if values that the workload does not set are left to Celery; absent otherwise",
    ),
    Key("app", "celery_version", Type.TEXT, _BROKER, _PEOPLE, "version of Celery, such as `5.7`"),
    Key(
        "app",
        "namespace",
        Type.TEXT,
        _INSTALLATION,
        _CONFIGURATION,
        "prefix of Django settings, if declared; may be empty",
    ),
    Key(
        "app",
        "broker_transport",
        Type.TEXT,
        _BROKER,
        _CONFIGURATION,
        f"kind of broker: {', '.join(f'`{name}`' for name in BROKERS)}",
    ),
    Key(
        "app",
        "broker_url_variable",
        Type.VARIABLE,
        _BROKER,
        readers(Reader.CONFIGURATION, Reader.WORKER, Reader.BEAT),
        "environment variable with the URL, instead of `broker_url`",
    ),
    Key(
        "app",
        "broker_url",
        Type.TEXT,
        _BROKER,
        _CONFIGURATION,
        "URL, if the workload contains it",
        celerys=True,
    ),
    Key("app", "broker_version", Type.TEXT, _BROKER, _PEOPLE, "version of the broker, if declared"),
    Key(
        "app",
        "broker_virtual_host",
        Type.TEXT,
        ChangeKind.BROKER_SERVER,
        _SERVER,
        "RabbitMQ: virtual host of the queues",
        mirror=True,
    ),
    Key(
        "app",
        "broker_policy_priority",
        Type.COUNT,
        ChangeKind.BROKER_SERVER,
        _SERVER,
        "RabbitMQ: priority of the policies that queues have in the broker",
    ),
    Key(
        "app",
        "broker_memory_bytes",
        Type.NUMBER,
        ChangeKind.BROKER_SERVER,
        _PEOPLE,
        "Redis: memory for the declared messages and results, with headroom",
        Unit.BYTES,
        mirror=True,
    ),
    Key(
        "app",
        "server.",
        Type.ANY,
        ChangeKind.BROKER_SERVER,
        _SERVER,
        "line of the broker's own configuration, by its own name, such as `maxmemory-policy`",
    ),
    Key(
        "app",
        "result_backend_variable",
        Type.VARIABLE,
        ChangeKind.RESULTS,
        readers(Reader.CONFIGURATION, Reader.WORKER, Reader.BEAT),
        "environment variable with the URL, instead of `result_backend`",
    ),
    Key(
        "app",
        "result_backend",
        Type.TEXT,
        ChangeKind.RESULTS,
        _CONFIGURATION,
        "URL, if the workload contains it",
        celerys=True,
    ),
    Key(
        "app",
        "result_backend_kind",
        Type.TEXT,
        ChangeKind.RESULTS,
        _PEOPLE,
        "kind of result backend, as declared: `redis`, `database`, …",
    ),
    Key(
        "app",
        "visibility_timeout_seconds",
        Type.NUMBER,
        ChangeKind.VISIBILITY_TIMEOUT,
        _PEOPLE,
        "Redis and SQS: time after which the broker redelivers an unacknowledged message",
        Unit.SECONDS,
    ),
    Key(
        "app",
        "longest_hold_seconds",
        Type.NUMBER,
        ChangeKind.VISIBILITY_TIMEOUT,
        _PEOPLE,
        "Redis and SQS: longest time that a worker may hold a message of a declared task; 0 without tasks",
        Unit.SECONDS,
        mirror=True,
    ),
    Key(
        "app",
        "longest_run_seconds",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "longest run of an undeclared task, for timeouts",
        Unit.SECONDS,
        mirror=True,
    ),
    _installed("executable", "systemd: path of `celery`"),
    _installed("working_directory", "systemd: working directory of the processes"),
    _installed("environment_file", "systemd: file with the environment of the processes"),
    _installed("user", "systemd: user of the processes"),
    Key(
        "app",
        "state_directory",
        Type.TEXT,
        _INSTALLATION,
        readers(Reader.BEAT),
        "systemd: state directory for the schedule file of beat; only with schedules",
    ),
)


def _setting(
    name: str, type_: Type, change: ChangeKind, *, nullable: bool = True, names_queues: bool = False
) -> Key:
    key = celerys(name)
    return key._replace(type=type_, change=change, nullable=nullable, names_queues=names_queues)


_LOCAL = frozenset(
    f"{start}_{rest}"
    for start, several in {
        "beat": "enable_remote_control max_loop_interval remote_control_max_tick_age schedule_filename "
        "scheduler sync_every",
        "broker": "channel_error_retry connection_max_retries connection_retry connection_retry_on_startup "
        "connection_timeout failover_strategy heartbeat heartbeat_checkrate login_method "
        "native_delayed_delivery_queue_type pool_acquire_timeout pool_limit read_url write_url",
        "control": "queue_durable queue_exclusive queue_expires queue_ttl",
        "database": "create_tables_at_setup engine_callback engine_options short_lived_sessions "
        "table_names table_schemas",
        "event": "queue_durable queue_exclusive queue_expires queue_prefix queue_ttl",
        "redis": "backend_health_check_interval backend_use_ssl client_name max_connections "
        "retry_on_timeout socket_connect_timeout socket_keepalive socket_timeout",
        "result": "backend_always_retry backend_base_sleep_between_retries_ms backend_max_retries "
        "backend_max_sleep_between_retries_ms backend_thread_safe backend_transport_options cache_max "
        "chord_expires chord_join_timeout chord_retry_interval expires extended failure_expires persistent",
        "task": "default_exchange default_exchange_type default_routing_key eager_propagates "
        "inherit_parent_priority remote_tracebacks send_sent_event store_errors_even_if_ignored "
        "track_started",
        "worker": "cancel_long_running_tasks_on_connection_loss concurrency detect_quorum_queues "
        "disable_prefetch enable_prefetch_count_reduction enable_remote_control "
        "enable_soft_shutdown_on_idle eta_task_limit hijack_root_logger log_color log_datefmt log_format "
        "lost_wait max_memory_per_child max_tasks_per_child pool pool_putlocks pool_restarts "
        "pool_start_method prefetch_multiplier proc_alive_timeout redirect_stdouts redirect_stdouts_level "
        "send_task_events soft_shutdown_timeout task_log_datefmt task_log_format timer_precision",
    }.items()
    for rest in several.split()
)
"""Settings whose change needs no order: they affect one process, or all processes in the same way."""

_OF_UNDECLARED_TASKS: dict[str, ChangeKind] = {
    f"task_{option.name.removeprefix('options.')}": option.change
    for option in task.OPTIONS
    if not option.is_prefix and option.change is not ChangeKind.TASK_OPTIONS
}


def celerys(name: str) -> Key:
    """A Celery setting; those with a known type are declared below."""
    change = _OF_UNDECLARED_TASKS.get(name, ChangeKind.APP_SETTING)
    if name.startswith(("result_", "broker_")):
        change = ChangeKind.RESULTS if name.startswith("result_") else _BROKER
    reader = Reader.BEAT_CONFIGURATION if name.startswith("beat_") else Reader.CONFIGURATION
    return Key(
        "app",
        name,
        Type.ANY,
        change,
        readers(reader),
        "Celery setting",
        nullable=True,
        celerys=True,
        local=name in _LOCAL,
    )


_SERIALIZATION, _MOVED = ChangeKind.SERIALIZATION, ChangeKind.TASK_MOVED

SETTINGS = (
    _setting("accept_content", Type.TEXTS, _SERIALIZATION, nullable=False),
    _setting("broker_transport_options", Type.MAPPING, _BROKER, nullable=False),
    _setting("database_table_names", Type.MAPPING, ChangeKind.RESULTS),
    _setting("database_table_schemas", Type.MAPPING, ChangeKind.RESULTS),
    _setting("result_accept_content", Type.TEXTS, _SERIALIZATION),
    _setting("result_compression", Type.TEXT, _SERIALIZATION),
    _setting("result_expires", Type.NUMBER, ChangeKind.RESULTS)._replace(unit=Unit.SECONDS),
    _setting("result_serializer", Type.TEXT, _SERIALIZATION, nullable=False),
    _setting("task_acks_late", Type.FLAG, ChangeKind.TASK_DELIVERY),
    _setting("task_compression", Type.TEXT, _SERIALIZATION),
    _setting("task_default_delivery_mode", Type.ANY, ChangeKind.TASK_DELIVERY),
    _setting("task_default_exchange", Type.TEXT, ChangeKind.APP_SETTING, names_queues=True),
    _setting("task_default_priority", Type.NUMBER, ChangeKind.TASK_PRIORITY),
    _setting("task_default_queue", Type.TEXT, _MOVED, nullable=False, names_queues=True)._replace(
        readers=readers(Reader.CONFIGURATION, Reader.PEOPLE)
    ),
    _setting("task_default_routing_key", Type.TEXT, ChangeKind.APP_SETTING, names_queues=True),
    _setting("task_ignore_result", Type.FLAG, ChangeKind.TASK_RESULTS),
    _setting("task_serializer", Type.TEXT, _SERIALIZATION, nullable=False),
    _setting("task_soft_time_limit", Type.NUMBER, ChangeKind.TASK_LIMITS)._replace(unit=Unit.SECONDS),
    _setting("task_time_limit", Type.NUMBER, ChangeKind.TASK_LIMITS)._replace(unit=Unit.SECONDS),
)
"""Settings that other packages read, or whose change has a kind of its own."""

KEYS = (*FACTS, *SETTINGS)
