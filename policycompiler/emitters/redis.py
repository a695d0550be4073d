"""Lines for `redis.conf`: Redis keeps every message, in memory and on disk.

Redis refuses to start with an unknown directive, or with a comment after a value. So each comment has its own
line.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters.base import OutputFile, Raw, Reading, one_line
from policycompiler.emitters.commands import comment, why
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan

ID = "redis"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """One file for a broker that keeps its messages in memory, if a policy decided a line of it."""
    reading = Reading(plan)
    if not reading.broker.evicts or not (decided := reading.below(APP, "server.")):
        return
    lines = [
        {"key": Raw(key), "value": value, "why": why(reading.setting(APP, f"server.{key}"))}
        for key, value in decided.items()
    ]
    content = {
        "service": comment(reading.text(APP, "service")),
        "lines": lines,
        "unbounded": "maxmemory" not in decided,
    }
    yield reading.file("redis/redis.conf", render("redis/redis.conf", quote, content))


def quote(value: object) -> str:
    """A number unchanged, any other value as one word of a line."""
    text = one_line(value)
    if isinstance(value, int) or (text and text.isascii() and text.replace("-", "").isalnum()):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
