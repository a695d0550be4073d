"""A look at Redis with commands that only read.

kombu keeps a queue as one list for each priority level, and the messages that all workers hold in one hash.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from policycompiler.plan import Plan
from policycompiler.reality.broker import redbeat
from policycompiler.reality.connection import Connected
from policycompiler.reality.seen import Binding, Message, Seen, SeenQueue, Server

SAMPLE = 25
"""How many of the oldest and of the newest messages of a list to read: a message may be large."""
MOST_HELD = 2000
"""From this number of unacknowledged messages on, they are not counted by queue."""
MOST_KEYS = 100_000
MOST_OTHERS = 100
MOST_BINDINGS = 1000
SCAN_SECONDS = 1.0
_SCAN_COUNT = 1000


class _Redis:
    """A client without kombu's prefix, which covers only some commands, and the names that kombu uses."""

    def __init__(self, connection: Connected) -> None:
        import redis  # noqa: PLC0415 - an optional dependency

        channel = connection.default_channel
        self.client: Any = redis.Redis(connection_pool=channel.pool, decode_responses=False)
        self.prefix: str = channel.global_keyprefix
        self.sep: str = channel.sep
        self.steps: list[int] = list(channel.priority_steps)
        self.unacked: str = self.prefix + channel.unacked_key
        self.binding: str = channel.keyprefix_queue
        self.refusal: Any = redis.exceptions.ResponseError

    def lists(self, queue: str) -> dict[str, str]:
        """The key of each priority level of a queue."""
        return {
            str(step): f"{self.prefix}{queue}" + (f"{self.sep}{step}" if step else "") for step in self.steps
        }


def look(connection: Connected, plan: Plan, management: str | None) -> Seen:
    """The queues of the plan, the server, and the other users of the database."""
    del management
    redis = _Redis(connection)
    unread: list[str] = []
    server = _server(redis, unread)
    names = [*(scope.name for scope in plan.scopes("queue") if not plan.get(scope, "broadcast"))]
    names += [str(dead) for scope in plan.scopes("queue") if (dead := plan.get(scope, "dead_letter_queue"))]
    held = _held(redis, plan)
    queues = {name: _queue(redis, name, held) for name in names}
    others, prefixes = _others(redis, set(names), unread)
    entries, lock = redbeat.look(redis.client, plan)
    bindings = tuple(_bindings(redis, plan))
    return Seen(server, queues, others, bindings, prefixes, entries, lock, tuple(unread))


def content(connection: Connected, plan: Plan) -> str:
    """What is in the selected database, of whatever app; empty if nothing is."""
    del plan
    number = _Redis(connection).client.dbsize()
    keys = "1 key" if number == 1 else f"{number} keys"
    return f"database {connection.virtual_host or 0} has {keys}" if number else ""


def clear(connection: Connected, plan: Plan) -> None:
    """Delete the keys that the database has now."""
    del plan
    client = _Redis(connection).client
    for key in client.scan_iter(count=_SCAN_COUNT):
        client.delete(key)


def _server(redis: _Redis, unread: list[str]) -> Server:
    info = redis.client.info()
    persistent = bool(info.get("aof_enabled"))
    if not persistent:
        try:
            found = redis.client.config_get("save")
            saves = found.get("save", found.get(b"save", b""))
            persistent = bool(saves)
        except redis.refusal as problem:
            # A hosted Redis has no CONFIG.
            unread.append(f"the snapshots of Redis ({problem})")
            return _of_info(info, None)
    return _of_info(info, persistent)


def _of_info(info: dict[str, Any], persistent: bool | None) -> Server:  # noqa: FBT001
    return Server(
        version=str(info.get("redis_version", "")) or None,
        eviction=str(info["maxmemory_policy"]) if "maxmemory_policy" in info else None,
        persistent=persistent,
        used_bytes=info.get("used_memory"),
        limit_bytes=info.get("maxmemory"),
    )


def _queue(redis: _Redis, name: str, held: Counter[tuple[str, bool]] | None) -> SeenQueue:
    keys = redis.lists(name)
    with redis.client.pipeline(transaction=False) as pipe:
        for key in keys.values():
            pipe.llen(key)
            pipe.lrange(key, 0, SAMPLE - 1)
            pipe.lrange(key, -SAMPLE, -1)
        found = pipe.execute(raise_on_error=False)
    lengths = [each if isinstance(each, int) else 0 for each in found[::3]]
    texts: list[bytes] = []
    for length, newest, oldest in zip(lengths, found[1::3], found[2::3], strict=True):
        if length:
            texts += [*newest, *oldest[max(0, 2 * SAMPLE - length) :]]
    unacked = None if held is None else held[name, False] + held[name, True]
    return SeenQueue(
        name,
        ready=sum(lengths),
        unacked=unacked,
        delayed=None if held is None else held[name, True],
        levels={level: length for level, length in zip(keys, lengths, strict=True) if length},
        messages=tuple(_messages(texts)),
    )


def _messages(texts: Iterable[bytes]) -> Iterator[Message]:
    for text in texts:
        found = _parsed(text)
        headers = found.get("headers") if isinstance(found, dict) else None
        if isinstance(headers, dict) and "task" in headers:
            yield Message(
                str(headers["task"]),
                str(headers.get("origin") or ""),
                scheduled=bool(headers.get("celery_beat_task")),
                expires=str(headers.get("expires") or ""),
                what=f"{headers.get('argsrepr')} {headers.get('kwargsrepr')}",
            )


def _parsed(text: bytes | str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _held(redis: _Redis, plan: Plan) -> Counter[tuple[str, bool]] | None:
    """How many messages workers hold, by queue and by whether they have an ETA; None if too many."""
    if redis.client.hlen(redis.unacked) > MOST_HELD:
        return None
    by_binding = {
        (plan.get(scope, "exchange"), plan.get(scope, "routing_key")): scope.name
        for scope in plan.scopes("queue")
    }
    found: Counter[tuple[str, bool]] = Counter()
    for text in redis.client.hvals(redis.unacked):
        match _parsed(text):
            case [dict(message), str(exchange), str(key), *_]:
                queue = by_binding.get((exchange, key), key) if exchange else key
                headers = message.get("headers")
                found[queue, isinstance(headers, dict) and bool(headers.get("eta"))] += 1
    return found


def _others(
    redis: _Redis, planned: set[str], unread: list[str]
) -> tuple[dict[str, SeenQueue] | None, tuple[str, ...]]:
    """The queues that the plan does not have, and the prefixes of other apps in this database."""
    ours = {key for name in planned for key in redis.lists(name).values()}
    lists: set[str] = set()
    prefixes: set[str] = set()
    marker = redis.binding % ""
    end, read, cursor = time.monotonic() + SCAN_SECONDS, 0, 0
    while True:
        cursor, keys = redis.client.scan(cursor, count=_SCAN_COUNT)
        read += len(keys)
        for key in (each.decode("utf-8", "replace") for each in keys):
            before, found, _ = key.partition(marker)
            if found and before != redis.prefix:
                prefixes.add(before)
            elif (
                not found
                and key not in ours
                and key.startswith(redis.prefix)
                and not _is_private(key.removeprefix(redis.prefix))
            ):
                lists.add(key)
        if not cursor:
            break
        if read > MOST_KEYS or time.monotonic() > end:
            unread.append(f"the other queues in Redis (it has more than {read} keys)")
            return None, tuple(sorted(prefixes))
    apart = tuple(filter(None, prefixes))
    lists = {key for key in lists if not key.startswith(apart)}
    counts: Counter[str] = Counter()
    for key in sorted(lists)[:MOST_OTHERS]:
        with suppress(redis.refusal):  # not a list
            if any(_messages(redis.client.lrange(key, -1, -1))):
                name = key.removeprefix(redis.prefix).partition(redis.sep)[0]
                counts[name] += redis.client.llen(key)
    return {name: SeenQueue(name, ready=count) for name, count in counts.items()}, tuple(sorted(prefixes))


def _is_private(key: str) -> bool:
    """Whether a key belongs to remote control, to events, or to a result."""
    return key.endswith(".pidbox") or key.startswith(("celeryev.", "celery-task-meta-"))


def _bindings(redis: _Redis, plan: Plan) -> Iterator[Binding]:
    exchanges = {str(plan.get(scope, "exchange")) for scope in plan.scopes("queue")}
    for exchange in sorted(exchanges):
        key = redis.prefix + redis.binding % exchange
        with suppress(redis.refusal):
            if redis.client.scard(key) <= MOST_BINDINGS:
                for member in redis.client.smembers(key):
                    routing_key, _, queue = member.decode("utf-8", "replace").split(redis.sep)
                    yield Binding(exchange, routing_key, queue)
