"""A rate for the whole fleet: each call reserves its moment, and waits for it.

The algorithm is GCRA. A call waits in its slot for at most the hold; a call whose
moment is later reserves nothing, and its task comes again later.
"""

from __future__ import annotations

from random import uniform
from threading import Lock
from time import monotonic

from .errors import Later, StoreDownError
from .store import Store
from .told import Dependency

_GUARD = "rate"
RESERVE = """
local interval, burst, hold = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.max(due - (burst - 1) * interval - now, 0)
if wait > hold then return {0, math.ceil(wait)} end
local next = due + interval
local keep = math.ceil((next - now) / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', keep)
return {1, math.ceil(wait)}
"""
"""Times are in microseconds."""


class Rate:
    """The rate of calls of one dependency."""

    def __init__(self, store: Store, names: str, told: Dependency, wait: float) -> None:
        self.store, self.told, self.store_seconds = store, told, wait
        self.key = f"{names}rate:{{{told.name}}}"
        self._local_due = 0.0
        self._lock = Lock()

    def reserve(self) -> float:
        """The seconds until the call may be made; `Later` if they exceed the hold."""
        told = self.told
        assert told.rate is not None
        interval, hold = int(1e6 / told.rate), int(told.hold * 1e6)
        try:
            granted, wait = self.store.run(
                _GUARD, RESERVE, [self.key], interval, max(told.burst, 1), hold
            )
        except StoreDownError:
            return self._local()
        if granted:
            return float(wait / 1e6)
        raise self._later(wait / 1e6)

    def _local(self) -> float:
        """The share of this process, while the store is down."""
        told = self.told
        assert told.rate is not None
        if told.hard:
            says = f"the rate of {told.name} is not known at present"
            raise Later(self.store_seconds * uniform(1, 1.2), "store", says)  # noqa: S311
        with self._lock:
            now = monotonic()
            due = max(self._local_due, now)
            if due - now > told.hold:
                raise self._later(due - now)
            self._local_due = due + max(told.processes, 1) / told.rate
            return due - now

    def _later(self, wait: float) -> Later:
        # Those that are refused come in turns, not all at the same moment.
        seconds = wait + uniform(0, max(1.0, self.told.hold))  # noqa: S311
        says = f"the rate of {self.told.name} is used up"
        return Later(seconds, "rate", says)
