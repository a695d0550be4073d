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
"""Those that the table of tasks and queues shows."""


_DELIVERY, _RETRIES, _RESULTS = ChangeKind.TASK_DELIVERY, ChangeKind.TASK_RETRIES, ChangeKind.TASK_RESULTS

OPTIONS = (
    _option("acks_late", Type.FLAG, _DELIVERY, "acknowledge after the run, not before"),
    _option("acks_on_failure", Type.FLAG, _DELIVERY, "late: acknowledge also after a failure"),
    _option(
        "acks_on_failure_or_timeout",
        Type.FLAG,
        _DELIVERY,
        "late: acknowledge also after a failure or a time limit",
    ),
    _option("acks_on_timeout", Type.FLAG, _DELIVERY, "late: acknowledge also after a time limit"),
    _option("autoretry_for", Type.TEXTS, _RETRIES, "exception classes that are retried"),
    _option("compression", Type.TEXT, ChangeKind.SERIALIZATION, "of the message body", nullable=True),
    _option(
        "default_retry_delay", Type.NUMBER, _RETRIES, "wait before a retry without backoff", Unit.SECONDS
    ),
    _option("delivery_mode", Type.NUMBER, _DELIVERY, "1 transient, 2 persistent"),
    _option("dont_autoretry_for", Type.TEXTS, _RETRIES, "exception classes that are never retried"),
    _option("expires", Type.NUMBER, ChangeKind.TASK_EXPIRY, "after this wait it is not run", Unit.SECONDS),
    _option("ignore_result", Type.FLAG, _RESULTS, "do not store the return value"),
    _option(
        "max_retries", Type.NUMBER, _RETRIES, "retries after the first run; null: no limit", nullable=True
    ),
    _option("priority", Type.NUMBER, ChangeKind.TASK_PRIORITY, "of the message, as the broker counts"),
    _option("rate_limit", Type.TEXT, ChangeKind.TASK_OPTIONS, "starts of one worker process, `10/m`"),
    _option("reject_on_worker_lost", Type.FLAG, _DELIVERY, "redeliver when its process dies"),
    _option("retry_backoff", Type.NUMBER, _RETRIES, "the first wait before a retry"),
    _option("retry_backoff_max", Type.NUMBER, _RETRIES, "the longest wait before a retry", Unit.SECONDS),
    _option("retry_jitter", Type.FLAG, _RETRIES, "spread retries at random below the wait"),
    _option("retry_kwargs", Type.MAPPING, _RETRIES, "arguments of the automatic retry"),
    _option("retry_on_worker_lost", Type.FLAG, _DELIVERY, "retry, and count, when its process dies"),
    _option("send_events", Type.FLAG, ChangeKind.TASK_OPTIONS, "send events about this task"),
    _option("serializer", Type.TEXT, ChangeKind.SERIALIZATION, "of the message body", nullable=True),
    _option(
        "soft_time_limit",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        "raise SoftTimeLimitExceeded; null: no limit",
        Unit.SECONDS,
        nullable=True,
    ),
    _option("store_eager_result", Type.FLAG, _RESULTS, "store results of eager runs"),
    _option("store_errors_even_if_ignored", Type.FLAG, _RESULTS, "store errors although results are ignored"),
    _option("throws", Type.TEXTS, ChangeKind.TASK_OPTIONS, "expected exceptions, logged without traceback"),
    _option(
        "time_limit",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        "kill the process of the run; null: no limit",
        Unit.SECONDS,
        nullable=True,
    ),
    _option("track_started", Type.FLAG, _RESULTS, "report when a run begins"),
    _option("trail", Type.FLAG, ChangeKind.TASK_OPTIONS, "keep a list of the tasks that this one calls"),
    _option("", Type.ANY, ChangeKind.TASK_OPTIONS, "any other task option of Celery's", nullable=True),
)

KEYS = (
    Key(
        "task",
        "queue",
        Type.TEXT,
        ChangeKind.TASK_MOVED,
        _CONFIGURATION,
        "the queue it is routed to",
        names_queues=True,
    ),
    Key(
        "task",
        "workers",
        Type.TEXTS,
        ChangeKind.TASK_FACTS,
        _PEOPLE,
        "the workers that consume that queue; empty for an external task",
        mirror=True,
    ),
    Key(
        "task",
        "mandatory",
        Type.FLAG,
        ChangeKind.TASK_OPTIONS,
        readers(Reader.CONFIGURATION),
        "a send to a queue that does not exist fails",
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
        "during a rollout: the earlier name that it is still sent by",
    ),
    Key(
        "task",
        "external",
        Type.FLAG,
        ChangeKind.TASK_EXTERNAL,
        _PEOPLE,
        "true: another app runs it, this one only sends it",
    ),
    _fact("latency", Type.TEXT, "latency class, as declared or by default"),
    _fact("work", Type.TEXT, "`io` or `cpu`, as declared or by default"),
    _fact("idempotent", Type.FLAG, "safe to run twice, as declared or by default"),
    _fact("owner", Type.TEXT, "the team, where declared"),
    _fact("description", Type.TEXT, "what it does, where declared")._replace(mirror=True),
    _fact("critical", Type.FLAG, "each failure matters, where declared"),
    _fact("canvas", Type.TEXTS, "`chain`, `group` and `chord` that it is part of, where declared"),
    _fact("runbook", Type.TEXT, "where an on-call person reads on, where declared"),
    _fact("burst", Type.NUMBER, "tasks that arrive at once, where declared"),
    _fact("memory_bytes", Type.NUMBER, "peak memory of one run, where declared", Unit.BYTES),
    _fact("payload_bytes", Type.NUMBER, "the largest message, where declared", Unit.BYTES),
    _fact("runtime_p50_seconds", Type.NUMBER, "median run time, where declared", Unit.SECONDS),
    _fact("runtime_p99_seconds", Type.NUMBER, "99 of 100 runs are shorter, where declared", Unit.SECONDS),
    _fact("runtime_mean_seconds", Type.NUMBER, "mean run time, where one is declared", Unit.SECONDS),
    _fact("rate_mean_per_second", Type.NUMBER, "mean rate of arrivals, where declared", Unit.PER_SECOND),
    _fact("rate_peak_per_second", Type.NUMBER, "peak rate of arrivals, where declared", Unit.PER_SECOND),
    _fact("max_countdown_seconds", Type.NUMBER, "the longest countdown or ETA, where declared", Unit.SECONDS),
    Key(
        "task",
        "longest_run_seconds",
        Type.NUMBER,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "the hard limit, or the longest expected run without one",
        Unit.SECONDS,
        mirror=True,
    ),
    Key(
        "task",
        "limits_assumed",
        Type.FLAG,
        ChangeKind.TASK_LIMITS,
        _PEOPLE,
        "true where its limits rest on its latency class alone; absent otherwise",
        mirror=True,
    ),
    *OPTIONS,
)
