"""Stand-ins for tasks in a load test: they wait or compute as long as a message says.

Printed by `policycompiler load --print-module`. A worker that includes this module has
a stand-in beside each of its tasks, with the same limits and acknowledgment. Messages
of a load test name stand-ins, never tasks. So no load test can run the code of a task,
whatever a worker includes.

The main process of a worker notes each start of a stand-in. The load test asks for
these notes by remote control.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from celery import Task, signals
from celery.exceptions import SoftTimeLimitExceeded
from celery.worker.control import inspect_command
from celery.worker.request import Request

PREFIX = "celery_load_test:"
"""The name of a stand-in is this, and the name of its task."""
COMMAND = "load_test"
"""The command of remote control."""
MOST_NOTES = 5000
"""The largest number of notes in an answer."""
_COPIED = (
    *("acks_late", "acks_on_failure_or_timeout", "reject_on_worker_lost"),
    *("time_limit", "soft_time_limit", "rate_limit"),
)

_notes: dict[str, list[tuple[int, float, bool]]] = {}
"""By load test: the number of a message, a time, and whether it started or failed."""
_ended: set[str] = set()


class Noted(Request):  # type: ignore[misc]
    """A message of a load test; its identifier is the test and a number."""

    def on_accepted(self, pid: Any, time_accepted: Any) -> None:
        """A slot begins to run it."""
        super().on_accepted(pid, time_accepted)
        self._note(self.time_start, started=True)

    def on_failure(self, *given: Any, **more: Any) -> None:
        """The run failed, or its process was lost."""
        super().on_failure(*given, **more)
        self._note(time.time(), started=False)

    def maybe_expire(self) -> Any:
        """Discard what is left of a load test that has ended."""
        return self.id.rpartition("-")[0] in _ended or super().maybe_expire()

    def _note(self, at: float, *, started: bool) -> None:
        test, _, number = self.id.rpartition("-")
        if number.isdecimal() and test not in _ended:
            _notes.setdefault(test, []).append((int(number), at, started))


@inspect_command(name=COMMAND)  # type: ignore[untyped-decorator]
def load_test(
    state: Any, *, test: str = "", known: Any = None, end: bool = False, **_: Any
) -> dict[str, Any]:
    """Tell the notes of a load test, after those that the caller has; or end it."""
    if end:
        _ended.add(test)
        _notes.pop(test, None)
    first = (known or {}).get(state.hostname, 0)
    notes = _notes.get(test, [])[first : first + MOST_NOTES]
    return {"first": first, "notes": notes}


def register(sender: Any = None, instance: Any = None, **_: Any) -> None:
    """Register a stand-in for each task, before the worker prepares its tasks."""
    del sender
    for name, task in sorted(instance.app.tasks.items()):
        if name.startswith(("celery.", PREFIX)):
            continue
        # Celery's own class: that of the app may have code that runs with each task.
        stand_in = instance.app.task(
            run, name=PREFIX + name, base=Task, shared=False, Request=Noted
        )
        # After Celery's annotations, which may be for all tasks.
        for option in _COPIED:
            setattr(stand_in, option, getattr(task, option))
        stand_in.ignore_result, stand_in.store_errors_even_if_ignored = True, False


def run(seconds: float, until: float, *, computes: bool, most: float) -> None:
    """Wait, or compute, for so many seconds.

    Not beyond the end of the test, and no longer than `most`, if a processor is shared.
    """
    left = max(0.0, min(most, until - time.time()))
    # A time limit of milliseconds can still be met before this ends.
    with suppress(SoftTimeLimitExceeded):
        if computes:
            _compute(seconds, left)
        else:
            time.sleep(min(seconds, left))


def _compute(seconds: float, left: float) -> None:
    end, last = time.thread_time() + seconds, time.monotonic() + left
    while time.thread_time() < end and time.monotonic() < last:
        sum(range(1000))


signals.celeryd_after_setup.connect(register, weak=False, dispatch_uid=PREFIX)
