"""The keys of `worker:NAME`: a pool of identical processes."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_COMMAND = readers(Reader.WORKER)
_OPTIONS = ChangeKind.WORKER_OPTIONS


def _command(name: str, type_: Type, change: ChangeKind, says: str, unit: Unit | None = None) -> Key:
    return Key("worker", name, type_, change, _COMMAND, says, unit)


def _sized(name: str, type_: Type, says: str) -> Key:
    return Key("worker", name, type_, ChangeKind.CAPACITY, readers(Reader.WORKER, Reader.PEOPLE), says)


KEYS = (
    Key(
        "worker",
        "queues",
        Type.TEXTS,
        ChangeKind.WORKER_QUEUES,
        _COMMAND,
        "the queues that it consumes",
        names_queues=True,
    ),
    Key(
        "worker",
        "tasks",
        Type.TEXTS,
        _OPTIONS,
        readers(Reader.PEOPLE),
        "the tasks that its queues bring",
        mirror=True,
    ),
    _command("pool", Type.TEXT, ChangeKind.WORKER_POOL, "how it runs tasks: `prefork`, `threads`, …"),
    _sized("concurrency", Type.NUMBER, "slots of one process; or"),
    _sized("autoscale", Type.MAPPING, 'bounds of its slots, `{"min": 2, "max": 10}`'),
    _sized("replicas", Type.COUNT, "processes"),
    _command(
        "memory_bytes", Type.NUMBER, ChangeKind.CAPACITY, "memory of one process, where pinned", Unit.BYTES
    ),
    _command("prefetch_multiplier", Type.NUMBER, ChangeKind.WORKER_PREFETCH, "messages held for each slot"),
    _command(
        "disable_prefetch", Type.FLAG, ChangeKind.WORKER_PREFETCH, "take a message only for a free slot"
    ),
    _command("max_tasks_per_child", Type.NUMBER, _OPTIONS, "runs until a pool process is replaced"),
    _command(
        "max_memory_per_child", Type.NUMBER, _OPTIONS, "memory at which a pool process is replaced", Unit.KIB
    ),
    _command("node_name", Type.TEXT, _OPTIONS, "`worker@NAME`; a process adds `.INSTANCE.%h`"),
    _command(
        "stop_timeout_seconds",
        Type.NUMBER,
        ChangeKind.WORKER_GRACE,
        "how long a stop waits for running tasks",
        Unit.SECONDS,
    ),
    _command("without_gossip", Type.FLAG, _OPTIONS, "Celery's flag"),
    _command("without_mingle", Type.FLAG, _OPTIONS, "Celery's flag"),
    _command("without_heartbeat", Type.FLAG, _OPTIONS, "Celery's flag"),
    _command("heartbeat_interval", Type.NUMBER, _OPTIONS, "Celery's flag, where pinned", Unit.SECONDS),
    _command("task_events", Type.FLAG, _OPTIONS, "send events about tasks"),
    _command("optimization", Type.TEXT, _OPTIONS, "Celery's flag, where pinned"),
    _command("environment", Type.MAPPING, _OPTIONS, "variables that its processes get, where pinned"),
    _command("command_prefix", Type.TEXTS, _OPTIONS, "words in front of its command, where pinned"),
    _command("log_level", Type.TEXT, _OPTIONS, "`INFO`, …"),
    Key(
        "worker",
        "description",
        Type.TEXT,
        _OPTIONS,
        readers(Reader.PEOPLE),
        "a few words for a reader: `batch tasks that compute (3 tasks)`",
        mirror=True,
    ),
)
