"""The slots of a worker, and Celery's autoscaler."""

from __future__ import annotations

from collections import deque

from policycompiler.sizing.simulation.fleet import Worker

KEEPALIVE_SECONDS = 30
"""An autoscaler looks this often whether slots are idle.

It closes idle slots if the worker received no message for longer. It is Celery's AUTOSCALE_KEEPALIVE.
"""


class Slots:
    """The slots that are open, of which some may be starting.

    Each method takes the number of messages that are reserved or run, the number of those that run, and the
    second. Between two events of its worker only idle slots are closed: `catch_up` does this afterwards.
    """

    def __init__(self, worker: Worker) -> None:
        self._scales = worker.least_slots is not None
        self._least, self._most = worker.least_slots or 0, worker.slots
        self._start_seconds = worker.start_seconds
        self._open = self._least if self._scales else worker.slots
        self._starting: deque[float] = deque()
        self._received = 0.0
        self._next_look = float(KEEPALIVE_SECONDS)
        self._slot_seconds, self._since = 0.0, 0.0

    def usable(self, now: float) -> int:
        """The number of slots that are open and have started."""
        while self._starting and self._starting[0] <= now:
            self._starting.popleft()
        return self._open - len(self._starting)

    def seconds(self, now: float) -> float:
        """The seconds of all slots that were open until now, added up."""
        return self._slot_seconds + self._open * (now - self._since)

    def received(self, reserved: int, now: float) -> bool:
        """Open slots for all that is reserved, up to the maximum: whether some start."""
        if not self._scales:
            return False
        self._received = now
        opened = min(reserved, self._most) - self._open
        if opened <= 0:
            return False
        self._set(self._open + opened, now)
        self._starting.extend([now + self._start_seconds] * opened)
        return self._start_seconds > 0

    def catch_up(self, reserved: int, busy: int, now: float) -> None:
        """Close the slots that the looks until now found idle."""
        while self._scales and self._next_look <= now:
            idle = self._open - max(reserved, busy, self._least)
            if idle > 0 and self._next_look - self._received > KEEPALIVE_SECONDS:
                self._set(self._open - idle, self._next_look)
            self._next_look += KEEPALIVE_SECONDS

    def _set(self, number: int, now: float) -> None:
        self._slot_seconds, self._since = self.seconds(now), now
        self._open = number
