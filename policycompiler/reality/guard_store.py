"""A look at the Redis that guards share, with the client that guards use; its commands only read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from policycompiler.plan import APP, Plan
from policycompiler.reality.live import Failure, Problem

VARIABLE = "guard_store_variable"
LOOK_SECONDS = 10.0
"""The longest look, also at a server that answers a byte at a time."""
MOST_KEYS = 20_000
_SCAN_COUNT = 1000
_SCHEMES = ("redis://", "rediss://", "unix://")
_PROBE = "redis.call('EXISTS', KEYS[1]) return redis.call('TIME')"
"""What every script of a guard needs: a script, a key of the service, and the time of the server."""
_OF_GUARDS = re.compile(r"^.+:[0-9a-f]{64}$|^.+:(breaker|rate):\{|^.+:scraped$")
_OF_QUEUES = re.compile(r"(^|:)(_kombu\.binding\.|unacked($|_))")
_OF_RESULTS = re.compile(r"(^|:|_)celery-task(set)?-meta-")


class SeenStore(NamedTuple):
    """The store of guards. None stands for unknown.

    `eviction` is the policy for a full memory, `limit_bytes` 0 without a limit. `appends` is how often the
    append-only file is written to disk, empty without one. `snapshot_seconds` is the longest time between
    two snapshots of changed data, 0 without any. `replica`: it follows another server, `writable` or not.
    `masters` are the servers of a cluster that have keys, 1 without a cluster. `refuses` says why it refuses
    to write, empty if it does not. `ahead_seconds` is its clock against that of this program. `others` are
    what else the database has, in words. `open_breakers` are dependencies that nobody calls now. `unread`
    says which parts could not be read, and why.
    """

    eviction: str | None = None
    limit_bytes: int | None = None
    used_bytes: int | None = None
    appends: str | None = None
    snapshot_seconds: int | None = None
    replica: bool = False
    writable: bool = False
    masters: int = 1
    refuses: str = ""
    ahead_seconds: float = 0.0
    others: tuple[str, ...] = ()
    open_breakers: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def look(plan: Plan, environment: Mapping[str, str], *, url: str | None = None) -> SeenStore | Problem | None:
    """Look at the store of a plan and change nothing; None if the plan has no guard with a store.

    `url` is its URL, by default that of the variable of the `environment` that the plan names. A problem is
    `UNSUPPORTED` if there is no URL.
    """
    variable = plan.get(APP, VARIABLE)
    if variable is None:
        return None
    found = url or environment.get(str(variable))
    if not found:
        message = f"the environment variable {variable} is not set; set it, or name the store with --store"
        return Problem(Failure.UNSUPPORTED, message)
    if not found.startswith(_SCHEMES):
        source = "--store" if url else str(variable)
        return Problem(Failure.UNREACHABLE, f"{source} is not a URL of Redis; it begins with redis://")
    # Celery is imported only where its client is needed: it is slow to import.
    from policycompiler.reality import connection  # noqa: PLC0415

    try:
        with connection.bounded(LOOK_SECONDS), connection.reaching(found):
            breakers = [each.name for each in plan.scopes("dependency") if plan.find(each, "breaker")]
            client = _client(found, connection.CONNECT_SECONDS)
            return _look(client, plan.text(APP, "service"), breakers)
    except connection.UnreachableError as problem:
        return Problem(problem.failure, str(problem), problem.extra)


def _client(url: str, seconds: float) -> Any:  # noqa: ANN401 - redis is an optional dependency
    """The client of the guards, with more patience."""
    from policycompiler.reality.connection import MissingLibraryError, UnreachableError  # noqa: PLC0415

    try:
        import redis  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError as problem:
        raise MissingLibraryError(str(problem), "redis") from None
    try:
        found = redis.Redis.from_url(
            url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
        )
        # It connects nowhere; options of the URL are first read here.
        pool = found.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError):
        # The text of the error may have the URL with its password.
        raise UnreachableError("its URL cannot be read; write redis://HOST:PORT/DB") from None
    return found


def _look(pooled: Any, service: str, breakers: Sequence[str]) -> SeenStore:  # noqa: ANN401
    from redis.exceptions import NoPermissionError, ResponseError  # noqa: PLC0415

    unread: list[str] = []

    # A client with one connection connects at once.
    with pooled, pooled.client() as client:

        def read(what: str, *words: str) -> Any:  # noqa: ANN401
            try:
                return client.execute_command(*words)
            except ResponseError as problem:
                unread.append(f"{what} ({problem})")
                return {}

        info = read("the state of the server", "INFO")
        # A hosted Redis may have no CONFIG.
        words = ("save", "appendfsync", "stop-writes-on-bgsave-error", "replica-read-only")
        settings = read("its settings", "CONFIG GET", *words)
        found = _of_info(info, settings)
        if info.get("cluster_enabled"):
            told = read("the cluster", "CLUSTER INFO")
            found = found._replace(masters=int(told.get("cluster_size", 1)))
        try:
            ahead = _ahead(client, f"{service}:look")
            found = found._replace(ahead_seconds=ahead, others=tuple(_others(client)))
            now = time.time() + ahead
            opened = (name for name in breakers if _is_open(client, f"{service}:breaker:{{{name}}}", now))
            found = found._replace(open_breakers=tuple(opened))
        except NoPermissionError:
            raise
        except ResponseError as problem:
            found = found._replace(refuses=found.refuses or (str(problem) if found.masters <= 1 else ""))
    return found._replace(unread=tuple(unread))


def _ahead(client: Any, key: str) -> float:  # noqa: ANN401
    """The seconds by which the clock of the server is ahead of the clock here."""
    before = time.time()
    seconds, micros = client.execute_command("EVAL", _PROBE, 1, key)
    return float(seconds) + float(micros) / 1e6 - (before + time.time()) / 2


def _is_open(client: Any, key: str, now: float) -> bool:  # noqa: ANN401
    state, until = client.hmget(key, "state", "until")
    return state == "open" and float(until or 0) / 1000 > now


def _of_info(info: Mapping[str, Any], settings: Mapping[str, str]) -> SeenStore:
    appends: str | None = ""
    if info.get("aof_enabled") or not info:
        appends = settings.get("appendfsync")
    times = settings.get("save")
    snapshot = None if times is None else max((int(each) for each in times.split()[::2]), default=0)
    return SeenStore(
        eviction=info.get("maxmemory_policy"),
        limit_bytes=info.get("maxmemory"),
        used_bytes=info.get("used_memory"),
        appends=appends,
        snapshot_seconds=snapshot,
        replica=info.get("role") == "slave",
        writable=settings.get("replica-read-only") == "no",
        refuses=_refuses(info, settings),
    )


def _refuses(info: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """Redis refuses to write while it cannot keep what it has."""
    if info.get("aof_enabled") and info.get("aof_last_write_status") == "err":
        return "it could not write its append-only file"
    failed = info.get("rdb_last_bgsave_status") == "err"
    if failed and settings.get("save") and settings.get("stop-writes-on-bgsave-error") != "no":
        return "its last snapshot failed"
    return ""


def _others(client: Any) -> Iterator[str]:  # noqa: ANN401
    """What the database has besides guards, from a part of its keys; the names of keys are not told."""
    cursor, read = 0, 0
    found: set[str] = set()
    while read < MOST_KEYS:
        cursor, keys = client.scan(cursor, count=_SCAN_COUNT)
        read += len(keys)
        found |= {kind for key in keys if (kind := _kind(key))}
        if not cursor:
            break
    yield from sorted(found)


def _kind(key: str) -> str:
    if _OF_QUEUES.search(key):
        return "the queues of a broker"
    if _OF_RESULTS.search(key):
        return "results of tasks"
    return "" if _OF_GUARDS.search(key) else "keys of other programs"
