"""The keys of `worker:NAME`: a pool of identical processes."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_COMMAND = readers(Reader.WORKER)
_OPTIONS = ChangeKind.WORKER_OPTIONS


def _command(name: str, type_: Type, change: ChangeKind, says: str, unit: Unit | None = None) -> Key:
    return Key("worker", name, type_, change, _COMMAND, says, unit)


def _sized(name: str, type_: Type, says: str) -> Key:
    return Key("worker", name, type_, ChangeKind.CAPACITY, readers(Reader.WORKER, Reader.PEOPLE), says)


def _beside(name: str, type_: Type, change: ChangeKind, says: str) -> Key:
    """A fact about the platform beside the processes: its change restarts none."""
    return Key("worker", name, type_, change, readers(Reader.PEOPLE), says)


def _fact(name: str, says: str, unit: Unit | None = None) -> Key:
    """What the size of a worker follows from; its number of slots says what changed."""
    who = readers(Reader.PEOPLE)
    return Key("worker", name, Type.NUMBER, ChangeKind.CAPACITY, who, says, unit, mirror=True)


def _contained(name: str, says: str, unit: Unit) -> Key:
    who = readers(Reader.PEOPLE) if "request" in name else _COMMAND
    return Key("worker", name, Type.NUMBER, ChangeKind.WORKER_RESOURCES, who, says, unit)


KEYS = (
    Key(
        "worker",
        "queues",
        Type.TEXTS,
        ChangeKind.WORKER_QUEUES,
        _COMMAND,
        "queues that the worker consumes",
        names_queues=True,
    ),
    Key(
        "worker",
        "tasks",
        Type.TEXTS,
        _OPTIONS,
        readers(Reader.PEOPLE),
        "tasks from the queues of the worker",
        mirror=True,
    ),
    _command("pool", Type.TEXT, ChangeKind.WORKER_POOL, "pool that runs tasks: `prefork`, `threads`, …"),
    _sized("concurrency", Type.NUMBER, "slots of one worker process, without `autoscale`"),
    _sized("autoscale", Type.MAPPING, 'bounds of the slots with autoscaling, `{"min": 2, "max": 10}`'),
    _sized("replicas", Type.COUNT, "number of worker processes; where the platform scales them, at peak"),
    _command(
        "memory_bytes",
        Type.NUMBER,
        ChangeKind.CAPACITY,
        "memory of one worker process, if pinned",
        Unit.BYTES,
    ),
    _fact("base_bytes", "memory of a worker process without its slots: an estimate", Unit.BYTES),
    _fact("slot_bytes", "memory of a slot: an estimate", Unit.BYTES),
    _fact("cores", "cores of one worker process, if declared", Unit.CORES),
    _fact("slot_cores", "cores that a slot needs", Unit.CORES),
    _fact("slot_connections", "connections to a database that a slot holds, if declared"),
    _fact("slots_at_mean", "slots of all processes that the mean rates need, if fewer than at peak"),
    _fact("sized_by", "what decided the number of slots: `wait`, `load`, `memory`, `pinned`, …")._replace(
        type=Type.TEXT
    ),
    _sized("scaling", Type.MAPPING, 'Kubernetes: bounds of `replicas`, `{"min": 1, "max": 4}`')._replace(
        readers=readers(Reader.PEOPLE)
    ),
    _beside("kubernetes_name", Type.TEXT, ChangeKind.INSTALLATION, "Kubernetes: name of its Deployment"),
    _beside(
        "scaling_sources",
        Type.TEXTS,
        ChangeKind.CAPACITY,
        "KEDA: queues, or their lists, whose messages it counts",
    ),
    _beside(
        "scaling_messages",
        Type.NUMBER,
        ChangeKind.CAPACITY,
        "KEDA: messages for each process, above which it starts another one",
    ),
    _beside(
        "scaling_cpu_percent",
        Type.NUMBER,
        ChangeKind.CAPACITY,
        "HPA: load of the requested cores, above which it starts another process",
    ),
    _beside(
        "scaling_down_seconds",
        Type.NUMBER,
        ChangeKind.CAPACITY,
        "Kubernetes: how long a process stays after the load is gone",
    )._replace(unit=Unit.SECONDS),
    _command(
        "alive_probe",
        Type.FLAG,
        ChangeKind.WORKER_RESOURCES,
        "containers: whether a stale `alive_file` means that a process must be replaced",
    ),
    _contained("cpu_request_cores", "containers: cores that are reserved for one process", Unit.CORES),
    _contained("cpu_limit_cores", "containers: most cores of one process, if declared", Unit.CORES),
    _contained("memory_request_bytes", "containers: memory that is reserved for one process", Unit.BYTES),
    _contained("memory_limit_bytes", "containers: most memory of one process, if declared", Unit.BYTES),
    _command(
        "prefetch_multiplier", Type.NUMBER, ChangeKind.WORKER_PREFETCH, "prefetched messages for each slot"
    ),
    _command(
        "disable_prefetch", Type.FLAG, ChangeKind.WORKER_PREFETCH, "fetch a message only for a free slot"
    ),
    _command(
        "max_tasks_per_child", Type.NUMBER, _OPTIONS, "runs after which a child process is replaced"
    )._replace(nullable=True),
    _command(
        "max_memory_per_child", Type.NUMBER, _OPTIONS, "memory at which a child process is replaced", Unit.KIB
    )._replace(nullable=True),
    _command(
        "time_limit",
        Type.NUMBER,
        ChangeKind.WORKER_OPTIONS,
        "hard time limit of tasks that have none and neither has the app, if pinned",
        Unit.SECONDS,
    ),
    _command(
        "soft_time_limit",
        Type.NUMBER,
        ChangeKind.WORKER_OPTIONS,
        "soft time limit of such tasks, if pinned",
        Unit.SECONDS,
    ),
    _command("statedb", Type.TEXT, _OPTIONS, "file with revoked tasks, if pinned"),
    _command(
        "exclude_queues",
        Type.TEXTS,
        ChangeKind.WORKER_QUEUES,
        "queues that the worker does not consume, if pinned",
    )._replace(names_queues=True, mirror=True),
    _command("node_name", Type.TEXT, _OPTIONS, "node name, `worker@NAME`; a process adds `.INSTANCE.%h`"),
    _command(
        "node_name_is_whole",
        Type.FLAG,
        _OPTIONS,
        "true if `node_name` has its host; only the processes of a worker with replicas add a number",
    ),
    _command(
        "telemetry_ports",
        Type.LIST,
        _OPTIONS,
        "first and last port for the metrics of its processes; each process takes a free one",
    ),
    _command("app", Type.TEXT, ChangeKind.INSTALLATION, "value of `celery --app`, if not that of `app`"),
    _command(
        "concurrency_source",
        Type.TEXT,
        ChangeKind.CAPACITY,
        "`auto`, `cores` (without an option), or `${VARIABLE}`; `concurrency` is then an assumption",
    ),
    _command(
        "stop_timeout_seconds",
        Type.NUMBER,
        ChangeKind.WORKER_GRACE,
        "how long a stop waits for tasks in progress",
        Unit.SECONDS,
    ),
    _command("without_gossip", Type.FLAG, _OPTIONS, "flag `--without-gossip` of Celery"),
    _command("without_mingle", Type.FLAG, _OPTIONS, "flag `--without-mingle` of Celery"),
    _command("without_heartbeat", Type.FLAG, _OPTIONS, "flag `--without-heartbeat` of Celery"),
    _command("heartbeat_interval", Type.NUMBER, _OPTIONS, "interval of heartbeats, if pinned", Unit.SECONDS),
    _command("task_events", Type.FLAG, _OPTIONS, "send events about tasks"),
    _command("optimization", Type.TEXT, _OPTIONS, "optimization profile of Celery (`-O`), if pinned"),
    _command("environment", Type.MAPPING, _OPTIONS, "environment variables of its processes, if pinned"),
    _command("command_prefix", Type.TEXTS, _OPTIONS, "words before its command, if pinned"),
    _command("log_level", Type.TEXT, _OPTIONS, "log level: `INFO`, …"),
    Key(
        "worker",
        "description",
        Type.TEXT,
        _OPTIONS,
        readers(Reader.PEOPLE),
        "description for people: `batch tasks that compute (3 tasks)`",
        mirror=True,
    ),
)
