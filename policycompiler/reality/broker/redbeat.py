"""What RedBeat keeps in Redis: the entries with their last runs, and the lock of the one beat."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from policycompiler.plan import APP, BEAT, Plan
from policycompiler.reality.seen import Firing

PREFIX = "redbeat:"
"""The default of `redbeat_key_prefix`."""
MOST_ENTRIES = 10_000
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_NEVER = 1970
"""RedBeat stores an early year for an entry that never ran."""


def look(client: Any, plan: Plan) -> tuple[tuple[Firing, ...] | None, bool | None]:  # noqa: ANN401 - redis
    """The entries, and whether a beat holds the lock; None for both if the plan stores them elsewhere."""
    if plan.get(BEAT, "store") != "redis" or plan.get(APP, "redbeat_redis_url"):
        return None, None
    prefix = str(plan.get(APP, "redbeat_key_prefix") or PREFIX)
    entries = []
    for key in client.zrange(f"{prefix}:schedule", 0, MOST_ENTRIES):
        definition, meta = (_parsed(each) for each in client.hmget(key, "definition", "meta"))
        if isinstance(definition, dict):
            entries.append(Firing(str(definition.get("name")), str(definition.get("task")), _last(meta)))
    return tuple(sorted(entries)), bool(client.exists(f"{prefix}:lock"))


def _parsed(text: bytes | None) -> object:
    try:
        return json.loads(text or b"")
    except (ValueError, RecursionError):
        return None


def _last(meta: object) -> float | None:
    """The last run, from RedBeat's form of a time: its parts, and a zone by name or in seconds."""
    told = meta.get("last_run_at") if isinstance(meta, dict) else None
    if not isinstance(told, dict) or not told.get("year") or told["year"] <= _NEVER:
        return None
    try:
        local = datetime(*(told.get(part, 0) for part in _PARTS))  # noqa: DTZ001 - the zone follows
        return local.replace(tzinfo=_zone(told.get("timezone"))).timestamp()
    except (TypeError, ValueError, KeyError, OverflowError):
        return None


def _zone(told: object) -> tzinfo:
    if isinstance(told, int | float):
        return timezone(timedelta(seconds=told))
    return ZoneInfo(told) if isinstance(told, str) else UTC
