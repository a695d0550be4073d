"""The keys of `task:NAME`: a task by its name, or by a glob with `*`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_PEOPLE = readers(Reader.PEOPLE)
_CONFIGURATION = readers(Reader.CONFIGURATION, Reader.PEOPLE)


def _fact(name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    return Key("task", name, type_, ChangeKind.TASK_FACTS, _PEOPLE, says, unit)


def _option(
    name: str, type_: Type, change: ChangeKind, says: str, unit: Unit | None = None, *, nullable: bool = False
) -> Key:
    told = readers(Reader.ANNOTATION, Reader.PEOPLE) if name in _IN_ROUTING else readers(Reader.ANNOTATION)
    return Key("task", f"options.{name}", type_, change, told, says, unit, nullable=nullable, celerys=True)


_IN_ROUTING = frozenset({"acks_late", "soft_time_limit", "time_limit"})
"""Options in the table of tasks and queues."""


_DELIVERY, _RETRIES, _RESULTS = ChangeKind.TASK_DELIVERY, ChangeKind.TASK_RETRIES, ChangeKind.TASK_RESULTS

OPTIONS = (
    _option("acks_late", Type.FLAG, _DELIVERY, "acknowledge the message after the run, not before"),
    _option(
        "acks_on_failure", Type.FLAG, _DELIVERY, "with late acknowledgment: acknowledge after a failure too"
    ),
    _option(
        "acks_on_failure_or_timeout",
        Type.FLAG,
        _DELIVERY,
        "with late acknowledgment: acknowledge after a failure or a time limit too",
    ),
    _option(
        "acks_on_timeout",
        Type.FLAG,
        _DELIVERY,
        "with late acknowledgment: acknowledge after a time limit too",
    ),
    _option("autoretry_for", Type.TEXTS, _RETRIES, "exception classes that are retried"),
    _option(
        "compression",
        Type.TEXT,
        ChangeKind.SERIALIZATION,
        "compression of the message body",
        nullable=True,
    ),
    _option(
        "default_retry_delay", Type.NUMBER, _RETRIES, "wait before a retry without backoff", Unit.SECONDS
    ),
    _option("delivery_mode", Type.NUMBER, _DELIVERY, "1: transient, 2: persistent"),
    _option("dont_autoretry_for", Type.TEXTS, _RETRIES, "exception classes that are never retried"),
    _option(
        "expires",
        Type.NUMBER,
        ChangeKind.TASK_EXPIRY,
        "workers discard a message that has waited longer than this",
        Unit.SECONDS,
    ),
    _option("ignore_result", Type.FLAG, _RESULTS, "do not store the return value"),
    _option(
        "max_retries", Type.NUMBER, _RETRIES, "retries after the first run; null: no limit", nullable=True
    ),
    _option(
        "priority", Type.NUMBER, ChangeKind.TASK_PRIORITY, "priority of the message, as the broker defines it"
    ),
    _option(
        "rate_limit", Type.TEXT, ChangeKind.TASK_OPTIONS, "rate limit of one worker process, such as `10/m`"
    ),
    _option("reject_on_worker_lost", Type.FLAG, _DELIVERY, "requeue the message if its worker process dies"),
    _option("retry_backoff", Type.NUMBER, _RETRIES, "wait before the first retry, in seconds"),
    _option("retry_backoff_max", Type.NUMBER, _RETRIES, "longest wait before a retry", Unit.SECONDS),
    _option("retry_jitter", Type.FLAG, _RETRIES, "randomize each wait between 0 and its full length"),
    _option("retry_kwargs", Type.MAPPING, _RETRIES, "arguments of the automatic retry"),
    _option(
        "retry_on_worker_lost", Type.FLAG, _DELIVERY, "retry, and count the retry, if the worker process dies"
    ),
    _option("send_events", Type.FLAG, ChangeKind.TASK_OPTIONS, "send events about this task"),
    _option(
        "serializer",
        Type.TEXT,
        ChangeKind.SERIALIZATION,
        "serializer of the message body",
        nullable=True,
    ),
    _option(
        "soft_time_limit",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        "soft time limit, which raises SoftTimeLimitExceeded; null: no limit",
        Unit.SECONDS,
        nullable=True,
    ),
    _option("store_eager_result", Type.FLAG, _RESULTS, "store results of eager runs"),
    _option("store_errors_even_if_ignored", Type.FLAG, _RESULTS, "store errors even if results are ignored"),
    _option("throws", Type.TEXTS, ChangeKind.TASK_OPTIONS, "expected exceptions, logged without a traceback"),
    _option(
        "time_limit",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        "hard time limit, which kills the child process; null: no limit",
        Unit.SECONDS,
        nullable=True,
    ),
    _option("track_started", Type.FLAG, _RESULTS, "report the state STARTED when a run starts"),
    _option("trail", Type.FLAG, ChangeKind.TASK_OPTIONS, "store the list of tasks that this task calls"),
    _option("", Type.ANY, ChangeKind.TASK_OPTIONS, "any other Celery task option", nullable=True),
)

KEYS = (
    Key(
        "task",
        "queue",
        Type.TEXT,
        ChangeKind.TASK_MOVED,
        _CONFIGURATION,
        "queue of the task",
        names_queues=True,
    ),
    Key(
        "task",
        "workers",
        Type.TEXTS,
        ChangeKind.TASK_FACTS,
        _PEOPLE,
        "workers that consume the queue; empty for an external task",
        mirror=True,
    ),
    Key(
        "task",
        "mandatory",
        Type.FLAG,
        ChangeKind.TASK_OPTIONS,
        readers(Reader.CONFIGURATION),
        "true: publishing to a missing queue fails",
    ),
    Key(
        "task",
        "renamed_from",
        Type.TEXTS,
        ChangeKind.TASK_RENAMED,
        _CONFIGURATION,
        "earlier names, as declared; workers run messages with these names as this task",
    ),
    Key(
        "task",
        "sent_as",
        Type.TEXT,
        ChangeKind.TASK_RENAMED,
        _CONFIGURATION,
        "during a rollout: earlier name with which the task is still sent",
    ),
    Key(
        "task",
        "external",
        Type.FLAG,
        ChangeKind.TASK_EXTERNAL,
        _PEOPLE,
        "true: another app runs the task, and this app only sends it",
    ),
    _fact(
        "policies", Type.TEXT, "`as-is` if options that the workload does not set are left to Celery"
    )._replace(change=ChangeKind.POLICIES),
    _fact("latency", Type.TEXT, "latency class, as declared or by default"),
    _fact("work", Type.TEXT, "`io` or `cpu`, as declared or by default"),
    _fact("idempotent", Type.FLAG, "safe to run twice, as declared or by default"),
    _fact("owner", Type.TEXT, "team that owns the task, if declared"),
    _fact("description", Type.TEXT, "purpose of the task, if declared")._replace(mirror=True),
    _fact("critical", Type.FLAG, "true: every single failure matters; if declared"),
    _fact("canvas", Type.TEXTS, "canvas types of the task (`chain`, `group`, `chord`), if declared"),
    _fact("runbook", Type.TEXT, "runbook for the person on call, if declared"),
    _fact("burst", Type.NUMBER, "number of messages that arrive at once, if declared"),
    _fact("memory_bytes", Type.NUMBER, "peak memory of one run, if declared", Unit.BYTES),
    _fact("connections", Type.NUMBER, "connections to the database that one run holds, if declared"),
    _fact("needs", Type.TEXTS, "what the task relies on its pool for, if declared"),
    _fact("payload_bytes", Type.NUMBER, "size of the largest message, if declared", Unit.BYTES),
    _fact("runtime_p50_seconds", Type.NUMBER, "median run time, if declared", Unit.SECONDS),
    _fact("runtime_p99_seconds", Type.NUMBER, "99th percentile of the run time, if declared", Unit.SECONDS),
    _fact("runtime_mean_seconds", Type.NUMBER, "mean run time, if a run time is declared", Unit.SECONDS),
    _fact("rate_mean_per_second", Type.NUMBER, "mean rate of messages, if declared", Unit.PER_SECOND),
    _fact("rate_peak_per_second", Type.NUMBER, "peak rate of messages, if declared", Unit.PER_SECOND),
    _fact("max_countdown_seconds", Type.NUMBER, "longest countdown or ETA, if declared", Unit.SECONDS),
    Key(
        "task",
        "longest_run_seconds",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "hard time limit; without one, the longest expected run",
        Unit.SECONDS,
        mirror=True,
    ),
    Key(
        "task",
        "limits_assumed",
        Type.FLAG,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "true if its limits come from its latency class alone; absent otherwise",
        mirror=True,
    ),
    *OPTIONS,
)
