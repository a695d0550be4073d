"""The keys of `app`: facts of the service, and settings of Celery's own."""

from __future__ import annotations

from policycompiler.plan.vocabulary import task
from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PEOPLE, _CONFIGURATION = readers(Reader.PEOPLE), readers(Reader.CONFIGURATION)
_COMMANDS = readers(Reader.WORKER, Reader.BEAT)
_INSTALLATION, _BROKER = ChangeKind.INSTALLATION, ChangeKind.BROKER


def _installed(name: str, says: str) -> Key:
    return Key("app", name, Type.TEXT, _INSTALLATION, _COMMANDS, says)


FACTS = (
    Key(
        "app",
        "service",
        Type.TEXT,
        _INSTALLATION,
        readers(Reader.WORKER, Reader.BEAT, Reader.ALERT, Reader.PEOPLE),
        "the name everything is emitted under",
    ),
    _installed("app", "the value of `celery --app`"),
    Key("app", "owner", Type.TEXT, ChangeKind.TASK_FACTS, _PEOPLE, "the team of what no team owns alone"),
    Key("app", "celery_version", Type.TEXT, _BROKER, _PEOPLE, "the Celery that runs, `5.7`"),
    Key(
        "app",
        "namespace",
        Type.TEXT,
        _INSTALLATION,
        _CONFIGURATION,
        "prefix of Django settings, where declared; may be empty",
    ),
    Key(
        "app",
        "broker_transport",
        Type.TEXT,
        _BROKER,
        readers(Reader.CONFIGURATION, Reader.ALERT),
        "`redis`, `rabbitmq`, `sqs`, `filesystem` or `memory`",
    ),
    Key(
        "app",
        "broker_url_variable",
        Type.VARIABLE,
        _BROKER,
        readers(Reader.CONFIGURATION, Reader.WORKER, Reader.BEAT),
        "the environment variable that holds the URL; or",
    ),
    Key(
        "app",
        "broker_url",
        Type.TEXT,
        _BROKER,
        _CONFIGURATION,
        "the URL, when the workload spells it out",
        celerys=True,
    ),
    Key("app", "broker_version", Type.TEXT, _BROKER, _PEOPLE, "the version of the broker, where declared"),
    Key(
        "app",
        "result_backend_variable",
        Type.VARIABLE,
        ChangeKind.RESULTS,
        readers(Reader.CONFIGURATION, Reader.WORKER, Reader.BEAT),
        "the environment variable that holds the URL; or",
    ),
    Key(
        "app",
        "result_backend",
        Type.TEXT,
        ChangeKind.RESULTS,
        _CONFIGURATION,
        "the URL, when the workload spells it out",
        celerys=True,
    ),
    Key(
        "app",
        "result_backend_kind",
        Type.TEXT,
        ChangeKind.RESULTS,
        _PEOPLE,
        "where results are kept, as declared: `redis`, `database`, …",
    ),
    Key(
        "app",
        "visibility_timeout_seconds",
        Type.NUMBER,
        ChangeKind.VISIBILITY_TIMEOUT,
        _PEOPLE,
        "Redis and SQS: after this an unacknowledged message is delivered again",
        Unit.SECONDS,
    ),
    Key(
        "app",
        "longest_hold_seconds",
        Type.NUMBER,
        ChangeKind.VISIBILITY_TIMEOUT,
        _PEOPLE,
        "Redis and SQS: the longest that anything declared may hold a message; 0 where nothing does",
        Unit.SECONDS,
        mirror=True,
    ),
    Key(
        "app",
        "longest_run_seconds",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "the run time that timeouts expect of a task that nobody declared",
        Unit.SECONDS,
        mirror=True,
    ),
    _installed("executable", "systemd: the path of `celery`"),
    _installed("working_directory", "systemd: where processes run"),
    _installed("environment_file", "systemd: the file with their environment"),
    _installed("user", "systemd: the user that they run as"),
    Key(
        "app",
        "state_directory",
        Type.TEXT,
        _INSTALLATION,
        readers(Reader.BEAT),
        "systemd's name of the folder in which beat keeps its schedule; with schedules only",
    ),
)


def _setting(
    name: str, type_: Type, change: ChangeKind, *, nullable: bool = True, names_queues: bool = False
) -> Key:
    key = celerys(name)
    return key._replace(type=type_, change=change, nullable=nullable, names_queues=names_queues)


_LOCAL = (
    *("imports", "include"),
    *("worker_", "beat_", "task_send_sent_event", "task_track_started", "task_publish_"),
    *("task_create_missing_queues", "event_", "control_", "database_", "redis_", "task_default_exchange"),
    *("task_default_routing_key", "task_default_rate_limit", "task_annotations", "task_remote_tracebacks"),
    *("task_store_errors_even_if_ignored", "task_inherit_parent_priority", "task_eager_propagates"),
)
"""How the settings begin that are of one process alone, or that all processes take alike."""

_OF_UNDECLARED_TASKS: dict[str, ChangeKind] = {
    f"task_{option.name.removeprefix('options.')}": option.change
    for option in task.OPTIONS
    if not option.is_prefix and option.change is not ChangeKind.TASK_OPTIONS
}


def celerys(name: str) -> Key:
    """A setting of Celery's own; those of which more is known are declared below."""
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
        "Celery's own",
        nullable=True,
        celerys=True,
        local=name.startswith(_LOCAL),
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
"""Those that other rooms read, or of which a change is more than one of a setting."""

KEYS = (*FACTS, *SETTINGS)
