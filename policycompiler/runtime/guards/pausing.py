"""A worker does not consume queues whose tasks all call what fails at present.

Each worker decides for itself by the state in the store. Otherwise the messages of such
a queue would pass through the worker again and again.
"""

from __future__ import annotations

from logging import getLogger
from typing import Any

from celery.bootsteps import StartStopStep

_EVERY_SECONDS = 0.25
_EARLY_SECONDS = 0.2
"""A worker needs some time to take its first message again."""


def pausing(guarded: Any) -> Any:
    """A step of the consumer: it begins again with each connection to the broker."""
    told = guarded.told.dependencies.values()
    breakers = guarded.breakers
    pauses = [
        (breakers[each.name], each.pauses) for each in told if each.name in breakers
    ]

    class Pausing(StartStopStep):  # type: ignore[misc]
        """Looks at the breakers, several times a second."""

        requires = ("celery.worker.consumer.tasks:Tasks",)
        entry: Any = None

        def start(self, parent: Any) -> None:
            # The consumer knows its queues, and its loop will consume them.
            paused = [queue for queue, stop in _paused(parent, pauses).items() if stop]
            _consume(parent, dict.fromkeys(paused, False))

            def check() -> None:
                if wanted := _wanted(parent, pauses):
                    # In the loop of the consumer, which alone may use its channel.
                    parent.call_soon(_consume, parent, wanted)

            self.entry = parent.timer.call_repeatedly(_EVERY_SECONDS, check)

        def stop(self, parent: Any) -> None:
            if self.entry is not None:
                parent.timer.cancel(self.entry)
                self.entry = None

    return Pausing


def _paused(consumer: Any, pauses: Any) -> dict[str, bool]:
    """Which queues of this worker shall not be consumed."""
    paused: dict[str, bool] = {}
    selected = consumer.app.amqp.queues.consume_from
    for breaker, queues in pauses:
        mine = [queue for queue in queues if queue in selected]
        if mine:
            state, left = breaker.state()
            for queue in mine:
                stopped = state == "open" and left > _EARLY_SECONDS
                paused[queue] = paused.get(queue, False) or stopped
    return paused


def _wanted(consumer: Any, pauses: Any) -> dict[str, bool]:
    """The queues of this worker that are consumed, or not, against the state."""
    tasks, selected = consumer.task_consumer, consumer.app.amqp.queues.consume_from
    return {
        queue: not stopped
        for queue, stopped in _paused(consumer, pauses).items()
        if tasks.consuming_from(selected[queue]) is stopped
    }


def _consume(consumer: Any, wanted: dict[str, bool]) -> None:
    tasks, selected = consumer.task_consumer, consumer.app.amqp.queues.consume_from
    for name, consumed in wanted.items():
        queue = selected.get(name)
        if queue is None or (consumed and tasks.consuming_from(queue)):
            continue
        says = "guards: %s queue %s, whose dependency is %s"
        words = ("consume", "back") if consumed else ("pause", "failing")
        getLogger(__name__).info(says, words[0], name, words[1])
        if consumed:
            tasks.add_queue(queue)
            tasks.consume()
        else:
            tasks.cancel_by_queue(queue.name)
