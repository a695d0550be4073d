"""The keys of `alert:NAME`; for an alert about a queue, NAME ends with `:QUEUE`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers


def _key(name: str, type_: Type, says: str, unit: Unit | None = None, *, nullable: bool = False) -> Key:
    return Key("alert", name, type_, ChangeKind.ALERT, readers(Reader.ALERT), says, unit, nullable=nullable)


KEYS = (
    _key("alert", Type.TEXT, "name of the alert, such as `CeleryQueueBacklog`"),
    _key("queue", Type.TEXT, "queue that the alert watches, or null", nullable=True)._replace(
        names_queues=True
    ),
    _key("team", Type.TEXT, "team that receives the alert, or null", nullable=True),
    _key("severity", Type.TEXT, "`critical`, `warning` or `info`"),
    _key(
        "for_seconds", Type.NUMBER, "how long the condition must be true before the alert fires", Unit.SECONDS
    ),
    _key("threshold", Type.NUMBER, "threshold in the expression, if it has one"),
    _key("sources", Type.TEXTS, "sources of metrics that the expression reads"),
    _key("nodes", Type.TEXTS, "host parts of the node names of workers, with `*` for what follows"),
    _key("lists", Type.TEXTS, "lists in which the broker keeps the messages of the queue"),
    _key("bound_seconds", Type.NUMBER, "bound of the histogram that the expression compares", Unit.SECONDS),
    _key("short_window_seconds", Type.NUMBER, "second, shorter window of the expression", Unit.SECONDS),
    _key("window_seconds", Type.NUMBER, "time window of the expression", Unit.SECONDS),
    _key("minimum", Type.NUMBER, "minimum number of runs for the alert to fire, if it has one"),
    _key("tasks", Type.TEXTS, "tasks that the alert is about, if they are several")._replace(mirror=True),
    _key("other_tasks", Type.TEXTS, "tasks that other alerts watch"),
    _key("schedule", Type.TEXT, "schedule that the alert watches"),
    _key("task", Type.TEXT, "for an alert about a single task: name of the task"),
    _key("dependency", Type.TEXT, "for an alert about a breaker: name of the dependency"),
    _key("parks", Type.FLAG, "true: runs of the queue may be parked, and such runs do not count"),
    _key("earlier_names", Type.TEXTS, "earlier names of that task"),
    _key(
        "matchers",
        Type.MAPPING,
        "labels that select the series of this service in each source, if the policy file sets them",
    ),
    _key("summary", Type.TEXT, "annotation: summary"),
    _key("description", Type.TEXT, "annotation: description")._replace(mirror=True),
    _key("runbook", Type.TEXT, "annotation: URL of the runbook"),
)
