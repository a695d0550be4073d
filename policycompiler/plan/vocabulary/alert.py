"""The keys of `alert:NAME`; NAME is that of the alert, with `:QUEUE` behind it for one of a queue."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers


def _key(name: str, type_: Type, says: str, unit: Unit | None = None, *, nullable: bool = False) -> Key:
    return Key("alert", name, type_, ChangeKind.ALERT, readers(Reader.ALERT), says, unit, nullable=nullable)


KEYS = (
    _key("alert", Type.TEXT, "the name of the alert, `CeleryQueueBacklog`"),
    _key("queue", Type.TEXT, "the queue that it watches, or null", nullable=True)._replace(names_queues=True),
    _key("team", Type.TEXT, "the team that it is for, or null", nullable=True),
    _key("severity", Type.TEXT, "`critical` or `warning`"),
    _key("for_seconds", Type.NUMBER, "how long its condition holds until it fires", Unit.SECONDS),
    _key("threshold", Type.NUMBER, "the number of its expression, where it has one"),
    _key("window_seconds", Type.NUMBER, "the time that its expression looks at", Unit.SECONDS),
    _key("minimum", Type.NUMBER, "the least number of runs that count, where it has one"),
    _key("tasks", Type.TEXTS, "of alerts on schedules: what beat sends")._replace(mirror=True),
    _key("other_tasks", Type.TEXTS, "tasks that other alerts watch"),
    _key("schedule", Type.TEXT, "the schedule that it watches"),
    _key("task", Type.TEXT, "of an alert about a single task: its name"),
    _key("earlier_names", Type.TEXTS, "the earlier names of that task"),
    _key(
        "matchers",
        Type.MAPPING,
        "labels that select the series of this service, where a policy file sets them",
    ),
    _key("summary", Type.TEXT, "annotation"),
    _key("description", Type.TEXT, "annotation")._replace(mirror=True),
    _key("runbook", Type.TEXT, "annotation"),
)
