"""The keys of `schedule:NAME`, `disabled_schedule:NAME` and `beat`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PEOPLE = readers(Reader.PEOPLE)
_ENTRY, _COMMAND = readers(Reader.BEAT_CONFIGURATION), readers(Reader.BEAT)

_SENT = (
    Key("schedule", "task", Type.TEXT, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "task that beat sends"),
    Key("schedule", "args", Type.LIST, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "positional arguments, if any"),
    Key("schedule", "kwargs", Type.MAPPING, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "keyword arguments, if any"),
    Key(
        "schedule",
        "cron",
        Type.MAPPING,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        'crontab, `{"minute", "hour", "day_of_month", "month_of_year", "day_of_week"}`',
    ),
    Key(
        "schedule",
        "every_seconds",
        Type.NUMBER,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        "interval between two sends, instead of `cron` or `solar`",
        Unit.SECONDS,
    ),
    Key(
        "schedule",
        "solar",
        Type.MAPPING,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        'solar event, `{"event", "latitude", "longitude"}`',
    ),
    Key(
        "schedule",
        "timezone",
        Type.TEXT,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        "time zone of `cron`; not for other kinds",
    ),
    Key(
        "schedule",
        "owner",
        Type.TEXT,
        ChangeKind.SCHEDULE_OPTIONS,
        _PEOPLE,
        "team that owns the schedule, if declared",
    ),
    Key(
        "schedule",
        "description",
        Type.TEXT,
        ChangeKind.SCHEDULE_OPTIONS,
        _PEOPLE,
        "purpose of the schedule, if declared",
        mirror=True,
    ),
)

KEYS = (
    *_SENT,
    Key(
        "schedule",
        "options",
        Type.MAPPING,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        "options of the send, with the names of task options",
        names_queues=True,
    ),
    *(
        each._replace(
            scope="disabled_schedule", change=ChangeKind.DISABLED_SCHEDULE, says="as for `schedule:NAME`"
        )
        for each in _SENT
    ),
    Key(
        "beat",
        "app",
        Type.TEXT,
        ChangeKind.INSTALLATION,
        _COMMAND,
        "value of `celery --app`, if it differs from that of `app`",
    ),
    Key(
        "beat",
        "telemetry_port",
        Type.NUMBER,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "port for the metrics of beat",
    ),
    Key("beat", "scheduler", Type.TEXT, ChangeKind.BEAT_OPTIONS, _COMMAND, "class of the scheduler"),
    Key(
        "beat",
        "stop_timeout_seconds",
        Type.NUMBER,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "longest wait of a stop",
        Unit.SECONDS,
    ),
    Key(
        "beat",
        "max_interval_seconds",
        Type.NUMBER,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "longest sleep between two checks of the schedule",
        Unit.SECONDS,
    ),
    Key("beat", "log_level", Type.TEXT, ChangeKind.BEAT_OPTIONS, _COMMAND, "log level: `INFO`, …"),
    Key("beat", "host", Type.TEXT, ChangeKind.BEAT_MOVED, _COMMAND, "host of beat, if declared"),
    Key(
        "beat",
        "store",
        Type.TEXT,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "where the scheduler stores entries: `file`, `database` or `redis`; absent if unknown",
    ),
    Key(
        "beat",
        "expiry_option",
        Type.TEXT,
        ChangeKind.BEAT_OPTIONS,
        _ENTRY,
        "option from which the scheduler reads the expiry of a message, if not `expires`",
    ),
)
