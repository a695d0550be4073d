"""Runs inside the workers of a rehearsal: notes each run, and replaces what a task would do.

It is copied beside the compiled settings and included by each worker, in the interpreter of the application.
It imports Celery and the standard library only. The code of no task runs: a probe of a real task must not
send a real mail.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

from celery import signals

guards: Any = None
with suppress(ImportError):
    # It is there if the workload declares guards.
    guards = import_module("rehearsal_guards")


def note(**fields: object) -> None:
    """Append a line to the file of records; one write, so that processes do not mix their lines."""
    line = json.dumps({"at": time.time(), **fields}) + "\n"
    file = os.open(os.environ["REHEARSAL_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def replace_all(sender: object = None, instance: object = None, **_: object) -> None:
    """Before the worker makes the tracers of its tasks."""
    del sender
    tasks = instance.app.tasks  # type: ignore[attr-defined]
    note(event="tasks", worker=os.environ["REHEARSAL_WORKER"], names=sorted(tasks))
    for name, task in tasks.items():
        if not name.startswith("celery."):
            task.run = _stand_in(task)
            # A probe has not all arguments of the task, also when a guard sends it again.
            task.typing = False


def ready(**_: object) -> None:
    """The worker consumes."""
    note(event="ready", worker=os.environ["REHEARSAL_WORKER"])


def received(request: Any = None, **_: object) -> None:
    """The worker has a message, and the broker knows of it."""
    note(event="received", id=request.id)


def ended(task_id: str = "", state: str = "", **_: object) -> None:
    """A task has ended for good, also if its code did not run."""
    if state != "RETRY":
        note(event="ended", id=task_id, state=state)


def _seconds(identifier: str) -> float:
    """How long a run takes: the identifier of a probe ends with milliseconds."""
    kind, _, rest = identifier.partition("-")
    return int(rest.rpartition("-")[2]) / 1000 if kind in ("route", "schedule", "burst") else 0.0


def _stand_in(task: object) -> object:
    def run(*args: object, **kwargs: object) -> None:
        del args, kwargs
        request = task.request  # type: ignore[attr-defined]
        way = request.delivery_info or {}
        note(
            event="run",
            id=request.id,
            task=request.task,
            worker=os.environ["REHEARSAL_WORKER"],
            routing_key=way.get("routing_key"),
            limits=list(request.timelimit or (None, None)),
            redelivered=bool(way.get("redelivered")),
        )
        if guards is not None and request.id.startswith(guards.PREFIX):
            guards.run(task, note)
        else:
            time.sleep(_seconds(request.id))
        note(event="done", id=request.id)

    return run


signals.celeryd_after_setup.connect(replace_all, weak=False)
signals.worker_ready.connect(ready, weak=False)
if guards is not None:
    signals.task_received.connect(received, weak=False)
    signals.task_postrun.connect(ended, weak=False)
