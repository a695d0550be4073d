"""A running worker: what it reserves, runs and acknowledges, and how it scales itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from policycompiler.sizing.simulation.fleet import Worker
from policycompiler.sizing.simulation.slots import Slots
from policycompiler.sizing.simulation.traffic import Flow, Message


class Clock(Protocol):
    """The simulation, as a worker sees it."""

    def later(self, process: Process, second: float, action: Callable[[float], None]) -> None:
        """Do this with the process at that second."""

    def started(self, message: Message, now: float) -> None:
        """Note the start of a run."""


class Process:
    """The state of a worker. Its methods take the current second."""

    def __init__(self, worker: Worker, flows: tuple[Flow, ...], clock: Clock) -> None:
        self.worker = worker
        self.turns = list(worker.queues)
        """The queues; the one that was served last is the last."""
        self._clock = clock
        self._ready: deque[Message] = deque()
        self._busy = 0
        self._unacknowledged = 0
        self._buckets = {
            number: _Bucket(1 / flow.rate_limit) for number, flow in enumerate(flows) if flow.rate_limit
        }
        self._slots = Slots(worker)

    @property
    def wants(self) -> bool:
        """Whether the broker may give it another message."""
        return not self.worker.reserves or self._unacknowledged < self.worker.reserves

    def slot_seconds(self, now: float) -> float:
        """The seconds of all slots that were open until now, added up."""
        self._catch_up(now)
        return self._slots.seconds(now)

    def receive(self, message: Message, now: float) -> None:
        """Reserve a message, and run it if a slot is free and no rate limit stops it."""
        self._catch_up(now)
        self._unacknowledged += 1
        bucket = self._buckets.get(message.flow)
        if bucket:
            bucket.held.append(message)
            self._release(bucket, now)
        else:
            self._reserve(message, now)

    def finish(self, now: float) -> None:
        """End a run: its slot takes the next reserved message."""
        self._catch_up(now)
        self._busy -= 1
        if self.worker.acks_late:
            self._unacknowledged -= 1
        self._start(now)

    def _reserve(self, message: Message, now: float) -> None:
        self._ready.append(message)
        if self._slots.received(self._busy + len(self._ready), now):
            self._clock.later(self, now + self.worker.start_seconds, self._start)
        self._start(now)

    def _release(self, bucket: _Bucket, now: float) -> None:
        """Reserve the messages for which there are tokens, and come back for the others."""
        while bucket.held and bucket.next_token <= now:
            bucket.next_token = now + bucket.every
            self._reserve(bucket.held.popleft(), now)
        if bucket.held and not bucket.waits:
            bucket.waits = True
            self._clock.later(self, bucket.next_token, lambda second: self._woken(bucket, second))

    def _woken(self, bucket: _Bucket, now: float) -> None:
        self._catch_up(now)
        bucket.waits = False
        self._release(bucket, now)

    def _catch_up(self, now: float) -> None:
        self._slots.catch_up(self._busy + len(self._ready), self._busy, now)

    def _start(self, now: float) -> None:
        """Run what is ready in the free slots."""
        while self._ready and self._busy < self._slots.usable(now):
            message = self._ready.popleft()
            self._busy += 1
            if not self.worker.acks_late:
                self._unacknowledged -= 1
            self._clock.started(message, now)
            self._clock.later(self, now + message.run, self.finish)


class _Bucket:
    """The token bucket of a rate limit, for one token: Celery's capacity."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.next_token = 0.0
        self.held: deque[Message] = deque()
        self.waits = False
