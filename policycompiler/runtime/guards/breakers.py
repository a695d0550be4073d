"""A circuit breaker for the whole fleet: while a dependency fails, nobody calls it.

It is closed, open, or half open. Each trip and each recovery begins a new generation,
so a call that began before cannot close the breaker or open it again.
"""

from __future__ import annotations

from random import uniform
from typing import Any, NamedTuple

from celery.exceptions import SoftTimeLimitExceeded
from kombu.utils.imports import symbol_by_name

from . import counts
from .errors import Later, StoreDownError
from .store import Store
from .told import Trip

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
_GUARD = "breaker"
_HALF_OPEN_SECONDS = 0.3
PROBE_SECONDS = 60.0
"""How long a probe may take before another call may try."""
_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'state', 'generation', 'until')
local state, generation = found[1] or 'closed', tonumber(found[2] or 0)
local function move(new, till)
  state, generation = new, generation + 1
  redis.call('HSET', KEYS[1], 'state', new, 'generation', generation,
    'until', string.format('%.0f', till))
  local keep = 86400000 + math.max(till - now, 0)
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', keep))
  redis.call('DEL', KEYS[2], KEYS[3])
end
"""
ADMIT = (
    _BEGIN
    + """
local call, probes, lease, latest = unpack(ARGV)
if now > tonumber(latest) then return {'late', now} end
if state == 'closed' then return {1, generation, 0} end
if state == 'open' then
  local left = tonumber(found[3]) - now
  if left > 0 then return {0, left} end
  move('half-open', 0)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], 0, now)
if redis.call('ZCARD', KEYS[3]) >= tonumber(probes) then return {0, 0} end
redis.call('ZADD', KEYS[3], string.format('%.0f', now + lease), call)
redis.call('PEXPIRE', KEYS[3], 86400000)
return {1, generation, 1}
"""
)
REPORT = (
    _BEGIN
    + """
local call, from, outcome, failures, within, open_for = unpack(ARGV)
local probe = redis.call('ZREM', KEYS[3], call) == 1
if outcome == 'none' then return 0 end
-- The main process does not know the generation; it knows the call.
local now_or_unknown = from == '' and (state ~= 'half-open' or probe)
if tonumber(from) ~= generation and not now_or_unknown then return 0 end
if outcome == 'answered' then
  if state == 'half-open' then move('closed', 0) end
  return 0
end
if state == 'open' then return 0 end
if state == 'closed' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now - within)
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), call .. ':' .. time[2])
  redis.call('PEXPIRE', KEYS[2], within)
  if redis.call('ZCARD', KEYS[2]) < tonumber(failures) then return 0 end
end
move('open', now + open_for)
return 1
"""
)
STATE = (
    _BEGIN
    + """
return {state, state == 'open' and tonumber(found[3]) - now or 0}
"""
)


class Pass(NamedTuple):
    """A call that was let through; without a generation, it counts nothing."""

    breaker: Breaker
    call: str
    generation: int | None
    probe: bool = False

    def report(self, outcome: str) -> None:
        """How the call ended: `failed`, `answered`, or `none` if it was not made."""
        if self.generation is not None:
            self.breaker.report(self.call, str(self.generation), outcome)


class Breaker:
    """The breaker of one dependency."""

    def __init__(self, store: Store, names: str, dependency: str, trip: Trip) -> None:
        self.store, self.dependency, self.trip = store, dependency, trip
        first = f"{names}breaker:{{{dependency}}}"
        self.keys = [first, f"{first}:failures", f"{first}:probes"]

    def admit(self, call: str, limit: float | None) -> Pass:
        """Let a call through, or `Later`; without the store, let all through."""
        lease = min(limit or PROBE_SECONDS, PROBE_SECONDS)
        probes = self.trip.probes
        try:
            admitted, number, *probe = self.store.run_in_time(
                _GUARD, ADMIT, self.keys, call, probes, int(lease * 1000)
            )
        except StoreDownError:
            return Pass(self, call, None)
        if admitted:
            return Pass(self, call, number, bool(probe[0]))
        # Not all at once, when it is over.
        spread = uniform(1, 1.5)  # noqa: S311 - no secret
        seconds = number / 1000 * spread if number else _HALF_OPEN_SECONDS
        raise Later(seconds, "breaker", f"calls of {self.dependency} fail at present")

    def report(self, call: str, generation: str, outcome: str) -> None:
        """Count how a call ended; the main process does not know its generation."""
        times = (self.trip.within, self.trip.open_for)
        within, open_for = (int(seconds * 1000) for seconds in times)
        given = call, generation, outcome, self.trip.failures, within, open_for
        try:
            if self.store.run(_GUARD, REPORT, self.keys, *given):
                counts.add("breaker_opened_total", dependency=self.dependency)
        except StoreDownError:
            return

    def state(self) -> tuple[str, float]:
        """Its state, and for how many seconds it stays open; closed if unknown."""
        try:
            return self.seen(_GUARD)
        except StoreDownError:
            return CLOSED, 0

    def seen(self, guard: str) -> tuple[str, float]:
        """The same; `StoreDownError`, which counts for the guard, if it is unknown."""
        state, left = self.store.run(guard, STATE, self.keys)
        return state.decode(), left / 1000


class Failures:
    """Which exceptions of a task say that a dependency fails."""

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self.names = names
        self._classes: tuple[type[BaseException], ...] | None = None

    def classes(self, task: Any) -> tuple[type[BaseException], ...]:
        """The classes; those of automatic retries if none is declared."""
        if self._classes is None:
            names = (
                getattr(task, "autoretry_for", ()) if self.names is None else self.names
            )
            found = [_class(each) if isinstance(each, str) else each for each in names]
            self._classes = (SoftTimeLimitExceeded, *found)
        return self._classes


def _class(name: str) -> type[BaseException]:
    full = name if "." in name else f"builtins.{name}"
    found: type[BaseException] = symbol_by_name(full)  # type: ignore[no-untyped-call]
    return found
