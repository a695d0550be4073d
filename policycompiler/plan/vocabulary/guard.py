"""The keys of guards, which run-time code enforces: of `dependency:NAME`, `app`, `task` and `queue`."""

from __future__ import annotations

from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit, readers

_CONFIGURATION = readers(Reader.CONFIGURATION)


def _of(scope: str, name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    return Key(scope, name, type_, ChangeKind.GUARD, _CONFIGURATION, says, unit)


def _dependency(name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    return _of("dependency", name, type_, says, unit)


def _task(name: str, type_: Type, says: str, unit: Unit | None = None) -> Key:
    return _of("task", name, type_, says, unit)


KEYS = (
    _dependency("tasks", Type.TEXTS, "tasks that call it")._replace(
        mirror=True, readers=readers(Reader.PEOPLE)
    ),
    _dependency("rate_per_second", Type.NUMBER, "most calls of all workers together", Unit.PER_SECOND),
    _dependency("burst", Type.NUMBER, "calls that may come at once after a pause"),
    _dependency("hold_seconds", Type.NUMBER, "longest wait of a run in its slot for its turn", Unit.SECONDS),
    _dependency(
        "breaker",
        Type.MAPPING,
        'when all workers stop calling it, `{"failures": 5, "within_seconds": 30, "open_for_seconds": 60, '
        '"probes": 1}`',
    ),
    _dependency("on_store_error", Type.TEXT, "without the store: `run` or `wait`"),
    _dependency("pauses", Type.TEXTS, "queues that are not consumed while its breaker is open"),
    _dependency(
        "processes", Type.NUMBER, "worker processes that call it: their local share without the store"
    ),
    _of(
        "app", "guard_store_variable", Type.TEXT, "environment variable with the URL of the guards' Redis"
    )._replace(readers=readers(Reader.CONFIGURATION, Reader.WORKER, Reader.BEAT)),
    Key(
        "app",
        "store_server.",
        Type.ANY,
        ChangeKind.BROKER_SERVER,
        readers(Reader.SERVER),
        "line of the configuration of the guards' Redis, by its own name, such as `maxmemory-policy`",
    ),
    Key(
        "app",
        "guard_store_memory_bytes",
        Type.NUMBER,
        ChangeKind.BROKER_SERVER,
        readers(Reader.PEOPLE),
        "memory of the guards' Redis for the effects of the time that they are kept, with headroom",
        Unit.BYTES,
        mirror=True,
    ),
    _of(
        "app",
        "parking",
        Type.MAPPING,
        "longest time until a parked task is sent again, and the time while the store is down, in seconds",
    ),
    _task("calls", Type.TEXTS, "dependencies that the task calls, if declared"),
    _task(
        "guard_failures",
        Type.MAPPING,
        'exception classes that count as failures of each dependency, `{"stripe": ["ConnectionError"]}`',
    ),
    _task("idempotency_key", Type.TEXT, "argument whose value names the effect, if declared"),
    _task("idempotency_keep_seconds", Type.NUMBER, "how long an effect is remembered", Unit.SECONDS),
    _task(
        "idempotency_lease_seconds", Type.NUMBER, "how long a run owns its effect; then another may take over"
    )._replace(unit=Unit.SECONDS),
    _task("idempotency_heartbeat", Type.FLAG, "true: a run renews its lease, because no hard limit ends it"),
    _task("idempotency_duplicate", Type.TEXT, "a message of a finished effect: `result` or `ignore`"),
    _task("idempotency_on_store_error", Type.TEXT, "without the store: `wait` or `run`"),
    _task(
        "payload_enforced_bytes",
        Type.NUMBER,
        "size above which publishers refuse a message, if declared",
        Unit.BYTES,
    ),
    _of("queue", "bound_messages", Type.NUMBER, "messages above which publishers are refused, if declared"),
)
