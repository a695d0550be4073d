"""The simulation: messages, a broker, and workers, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from policycompiler.sizing.simulation.fleet import Fleet
from policycompiler.sizing.simulation.process import Process
from policycompiler.sizing.simulation.traffic import Flow, Message, messages
from policycompiler.sizing.simulation.waits import Waits, measured


class Outcome(NamedTuple):
    """What a simulation measured.

    `flows` has the waits by the name of the flow, `queues` by queue. A wait lasts from the arrival of the
    message to the start of its run. `last_start` is the second at which the last run started. `slots` is the
    mean number of open slots of each worker.
    """

    flows: Mapping[str, Waits]
    queues: Mapping[str, Waits]
    last_start: float
    slots: tuple[float, ...]


def simulate(
    flows: tuple[Flow, ...], fleet: Fleet, *, seconds: float, seed: int = 0, warm_up: float = 0.0
) -> Outcome:
    """Run a fleet until it has run all messages that arrive before `seconds`.

    The names of flows differ. The same arguments give the same outcome on every machine.

    Args:
        flows: what arrives.
        fleet: what takes it.
        seconds: how long messages arrive.
        seed: another seed gives other random numbers.
        warm_up: waits of messages that arrive before this second are not measured.

    Raises:
        ValueError: no worker consumes the queue of a flow.
    """
    consumed = {queue for worker in fleet.workers for queue in worker.queues}
    if unconsumed := sorted({flow.queue for flow in flows} - consumed):
        msg = f"no worker consumes: {', '.join(unconsumed)}"
        raise ValueError(msg)
    simulation = _Simulation(flows, fleet, warm_up)
    for message in messages(flows, seconds, seed):
        simulation.advance(message.arrived)
        simulation.arrive(message)
    simulation.advance(None)
    return simulation.outcome()


class _Simulation:
    """The state of the broker, and the events to come."""

    def __init__(self, flows: tuple[Flow, ...], fleet: Fleet, warm_up: float) -> None:
        self._flows, self._broker, self._warm_up = flows, fleet.broker, warm_up
        self._levels = [fleet.broker.level(flow.priority) for flow in flows]
        self._queues: dict[str, tuple[deque[Message], ...]] = {
            name: tuple(deque() for _ in fleet.broker.steps)
            for worker in fleet.workers
            for name in worker.queues
        }
        """The messages that no process has: a list for each step of priority, the most urgent first."""
        self._events: list[tuple[float, int, Process, Callable[[float], None]]] = []
        self._count = 0
        self._waits: list[list[float]] = [[] for _ in flows]
        self._now = self._last_start = 0.0
        self._processes = [Process(worker, flows, self) for worker in fleet.workers]
        self._hungry = dict.fromkeys(self._processes)
        """The processes that want a message and found none; who asked first is served first."""

    def later(self, process: Process, second: float, action: Callable[[float], None]) -> None:
        """Do this with the process at that second; what was asked first comes first."""
        heappush(self._events, (second, self._count, process, action))
        self._count += 1

    def started(self, message: Message, now: float) -> None:
        """Note the wait of a message."""
        self._last_start = now
        if message.arrived >= self._warm_up:
            self._waits[message.flow].append(now - message.arrived)

    def advance(self, until: float | None) -> None:
        """Let everything happen until then, or until nothing is left to happen."""
        events = self._events
        while events and (until is None or events[0][0] <= until):
            self._now, _, process, action = heappop(events)
            action(self._now)
            self._serve(process)

    def arrive(self, message: Message) -> None:
        """Give a message to a hungry process, or let it wait in the broker."""
        self._now = message.arrived
        queue = self._flows[message.flow].queue
        for process in self._hungry:
            if queue in process.worker.queues:
                self._give(process, message, queue)
                self._serve(process)
                return
        self._queues[queue][self._levels[message.flow]].append(message)

    def outcome(self) -> Outcome:
        """What was measured."""
        flows = {flow.name: measured(waits) for flow, waits in zip(self._flows, self._waits, strict=True)}
        queues = {
            name: measured(
                wait for flow in self._flows if flow.queue == name for wait in flows[flow.name].seconds
            )
            for name in self._queues
        }
        slots = tuple(
            process.slot_seconds(self._now) / self._now if self._now else float(process.worker.slots)
            for process in self._processes
        )
        return Outcome(flows, queues, self._last_start, slots)

    def _serve(self, process: Process) -> None:
        """Give the process all that it wants; it is hungry if there is not enough."""
        while process.wants:
            found = self._next(process)
            if not found:
                self._hungry.setdefault(process)
                return
            self._give(process, *found)
        self._hungry.pop(process, None)

    def _give(self, process: Process, message: Message, queue: str) -> None:
        # Whoever was served asks again, behind those that are hungry already.
        self._hungry.pop(process, None)
        if len(process.turns) > 1:
            process.turns.remove(queue)
            process.turns.append(queue)
        process.receive(message, self._now)

    def _next(self, process: Process) -> tuple[Message, str] | None:
        """Take the message out of the broker that this process receives next."""
        levels = range(len(self._broker.steps))
        places = (
            ((queue, level) for level in levels for queue in process.turns)
            if self._broker.over_queues
            else ((queue, level) for queue in process.turns for level in levels)
        )
        for queue, level in places:
            waiting = self._queues[queue][level]
            if waiting:
                return waiting.popleft(), queue
        return None
