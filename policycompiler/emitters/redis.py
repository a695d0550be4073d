"""Lines for `redis.conf`: Redis keeps every message, and every record of guards, in memory and on disk.

Redis refuses to start with an unknown directive, or with a comment after a value. So each comment has its own
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import OutputFile, Raw, Reading, one_line
from policycompiler.emitters.commands import comment, why
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan

ID = "redis"


class _Server(NamedTuple):
    """A Redis with a file of its own: the prefix of its lines in the plan, and when `maxmemory` is known."""

    path: str
    prefix: str
    what: str
    bounded_if: str


_SERVERS = (
    _Server(
        "redis/redis.conf",
        "server.",
        "Redis",
        "every task declares its `rate` and its `payload`, and if results expire",
    ),
    _Server(
        "redis/guards.conf",
        "store_server.",
        "Redis of the guards",
        "every task with an `idempotency_key` declares its `rate`",
    ),
)


def emit(plan: Plan) -> Iterator[OutputFile]:
    """A file for a broker that keeps its messages in memory, and one for the store of guards."""
    for server in _SERVERS:
        reading = Reading(plan)
        decided = reading.below(APP, server.prefix)
        if not decided or (server.prefix == "server." and not reading.broker.evicts):
            continue
        lines = [
            {"key": Raw(key), "value": value, "why": why(reading.setting(APP, f"{server.prefix}{key}"))}
            for key, value in decided.items()
        ]
        content = {
            "service": comment(reading.text(APP, "service")),
            "lines": lines,
            "what": Raw(server.what),
            "bounded_if": "" if "maxmemory" in decided else Raw(server.bounded_if),
        }
        yield reading.file(server.path, render("redis/redis.conf", quote, content))


def quote(value: object) -> str:
    """A number unchanged, any other value as one word of a line."""
    text = one_line(value)
    if isinstance(value, int) or (text and text.isascii() and text.replace("-", "").isalnum()):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
