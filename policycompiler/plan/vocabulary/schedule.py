"""The keys of `schedule:NAME`, `disabled_schedule:NAME` and `beat`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PEOPLE = readers(Reader.PEOPLE)
_ENTRY, _COMMAND = readers(Reader.BEAT_CONFIGURATION), readers(Reader.BEAT)

_SENT = (
    Key("schedule", "task", Type.TEXT, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "the task that beat sends"),
    Key("schedule", "args", Type.LIST, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "arguments, where given"),
    Key("schedule", "kwargs", Type.MAPPING, ChangeKind.SCHEDULE_OPTIONS, _ENTRY, "by name, where given"),
    Key(
        "schedule",
        "cron",
        Type.MAPPING,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        '`{"minute", "hour", "day_of_month", "month_of_year", "day_of_week"}`; or',
    ),
    Key(
        "schedule",
        "every_seconds",
        Type.NUMBER,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        "interval; or",
        Unit.SECONDS,
    ),
    Key(
        "schedule",
        "solar",
        Type.MAPPING,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        '`{"event", "latitude", "longitude"}`',
    ),
    Key(
        "schedule",
        "timezone",
        Type.TEXT,
        ChangeKind.SCHEDULE_OPTIONS,
        _ENTRY,
        "the time zone of its cron; of no other kind",
    ),
    Key("schedule", "owner", Type.TEXT, ChangeKind.SCHEDULE_OPTIONS, _PEOPLE, "the team, where declared"),
    Key(
        "schedule",
        "description",
        Type.TEXT,
        ChangeKind.SCHEDULE_OPTIONS,
        _PEOPLE,
        "what it is for, where declared",
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
        "options of the send, named as those of a task",
        names_queues=True,
    ),
    *(
        each._replace(
            scope="disabled_schedule", change=ChangeKind.DISABLED_SCHEDULE, says="as of `schedule:NAME`"
        )
        for each in _SENT
    ),
    Key("beat", "scheduler", Type.TEXT, ChangeKind.BEAT_OPTIONS, _COMMAND, "the class of the scheduler"),
    Key(
        "beat",
        "stop_timeout_seconds",
        Type.NUMBER,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "how long a stop waits",
        Unit.SECONDS,
    ),
    Key(
        "beat",
        "max_interval_seconds",
        Type.NUMBER,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "the longest sleep between two looks at the schedule",
        Unit.SECONDS,
    ),
    Key("beat", "log_level", Type.TEXT, ChangeKind.BEAT_OPTIONS, _COMMAND, "`INFO`, …"),
    Key("beat", "host", Type.TEXT, ChangeKind.BEAT_MOVED, _COMMAND, "where it runs, where declared"),
    Key(
        "beat",
        "store",
        Type.TEXT,
        ChangeKind.BEAT_OPTIONS,
        _COMMAND,
        "where its scheduler keeps entries: `file`, `database` or `redis`; absent where unknown",
    ),
    Key(
        "beat",
        "expiry_option",
        Type.TEXT,
        ChangeKind.BEAT_OPTIONS,
        _ENTRY,
        "the option in which it reads the expiry of a run, where that is not `expires`",
    ),
)
