"""Whether the server of the broker keeps messages.

Because:
    Redis evicts whole queues when its memory is full, unless its policy forbids it. What it does not store is
    lost with a restart.

Refuses:
    PC866 redis-evicts: set `maxmemory-policy noeviction` on the Redis of the broker.
        when: Redis may evict keys without an expiry, and so whole queues, when its memory is full.
    PC867 broker-not-persistent: turn on `appendonly`, or snapshots with `save`.
        when: Redis stores nothing on disk, so a restart loses all waiting messages.
    PC868 broker-memory-high: consume the backlog, or raise the limit.
        when: Redis uses more than 80 % of its memory limit.
    PC869 broker-blocks-publishers: free memory or disk on the node that the message names.
        when: an alarm of RabbitMQ blocks all publishers; only the management API shows alarms.
    PC870 broker-version-differs: correct `broker.version` in the workload, and compile again.
        when: the broker has another version than the workload declares.
    PC872 database-shared: give each service its own database or its own `global_keyprefix`.
        when: other Celery apps use the same database of Redis with another key prefix.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.plan import APP, Plan
from policycompiler.quantities import size
from policycompiler.reality.seen import Seen
from policycompiler.verify.words import app_path, listed

REDIS_EVICTS = error("PC866", "redis-evicts")
BROKER_NOT_PERSISTENT = warning("PC867", "broker-not-persistent")
BROKER_MEMORY_HIGH = warning("PC868", "broker-memory-high")
BROKER_BLOCKS_PUBLISHERS = error("PC869", "broker-blocks-publishers")
BROKER_VERSION_DIFFERS = warning("PC870", "broker-version-differs")
DATABASE_SHARED = info("PC872", "database-shared")

FULL = 0.8
"""The share of the memory limit from which on a burst may fill it."""
_ALL_KEYS = "allkeys-"
"""The policies that evict keys without an expiry; queues have none."""
_BROKER = ("broker",)


def findings(plan: Plan, broker: Seen) -> Iterator[Diagnostic]:
    """The differences of the server."""
    server = broker.server
    if (server.eviction or "").startswith(_ALL_KEYS):
        limit = f"at {size(server.limit_bytes)}" if server.limit_bytes else "as soon as it has a memory limit"
        message = f"Redis evicts whole queues {limit}: `maxmemory-policy` is `{server.eviction}`; "
        message += "allowed for a broker: `noeviction`"
        yield REDIS_EVICTS.at(_BROKER, message, help="set `maxmemory-policy noeviction` on this Redis")
    if server.persistent is False:
        message = f"{plan.broker.label} stores nothing on disk, so a restart loses all waiting messages"
        help_text = "turn on `appendonly`, or snapshots with `save`"
        yield BROKER_NOT_PERSISTENT.at(_BROKER, message, help=help_text)
    if server.limit_bytes and (server.used_bytes or 0) > FULL * server.limit_bytes:
        message = f"the broker uses {size(server.used_bytes or 0)} of {size(server.limit_bytes)} memory; "
        message += f"allowed: {FULL:.0%}"
        yield BROKER_MEMORY_HIGH.at(_BROKER, message, help="consume the backlog, or raise the limit")
    for alarm in server.alarms:
        message = f"the broker blocks all publishers: it has too little {alarm}"
        yield BROKER_BLOCKS_PUBLISHERS.at(_BROKER, message, help="free memory or disk on this node")
    yield from _version(plan, server.version)
    if broker.prefixes:
        message = f"other Celery apps use this database with the key prefixes {listed(broker.prefixes)}"
        if "" in broker.prefixes:
            message = "another Celery app uses this database without a key prefix"
        help_text = "give each service its own database"
        yield DATABASE_SHARED.at(_BROKER, message, help=help_text)


def _version(plan: Plan, found: str | None) -> Iterator[Diagnostic]:
    if not found or not plan.get(APP, "broker_version"):
        return
    planned = plan.text(APP, "broker_version")
    parts = planned.split(".")
    if found.split(".")[: len(parts)] != parts:
        message = f"the broker is {plan.broker.label} {found}; the workload declares {planned}"
        help_text = "correct `broker.version`, and compile again"
        yield BROKER_VERSION_DIFFERS.at(
            app_path(plan, "broker_version", ("broker", "version")), message, help=help_text
        )
