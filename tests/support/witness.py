"""What a worker really runs, as seen from inside: `celery … worker -I witness` with `WITNESS=FILE`.

Every start and end of a task appends one JSON line to the file. Children of a prefork worker inherit the
receivers; one short write to a file opened for appending is not torn by another process's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from celery import signals


def starts(path: Path) -> list[dict]:
    """The starts recorded so far, in the order in which they happened."""
    return [event for event in events(path) if event["event"] == "start"]


def ends(path: Path) -> list[dict]:
    """The ends recorded so far; of a run that was lost there is none, or one without a state."""
    return [event for event in events(path) if event["event"] == "end"]


def events(path: Path) -> list[dict]:
    """All that is recorded so far; nothing while no worker has written."""
    # A reader may come in the middle of a line.
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def _record_start(task, task_id, **_ignored):
    _append({"event": "start", **_facts(task, task_id)})


def _record_end(task, task_id, state=None, **_ignored):
    _append({"event": "end", "state": state, **_facts(task, task_id)})


def _facts(task, task_id):
    request, delivery = task.request, task.request.delivery_info or {}
    return {
        "task": task.name,
        "id": task_id,
        "hostname": request.hostname,
        "exchange": delivery.get("exchange"),
        "routing_key": delivery.get("routing_key"),
        "priority": delivery.get("priority"),
        "redelivered": delivery.get("redelivered"),
        "timelimit": request.timelimit,  # of the message: [hard, soft] in seconds, null where it says none
        "time_limit": task.time_limit,  # of the task, in seconds
        "soft_time_limit": task.soft_time_limit,
        "acks_late": task.acks_late,
        "reject_on_worker_lost": task.reject_on_worker_lost,
        "retries": request.retries,
        "pid": os.getpid(),
    }


def _append(event):
    line = json.dumps(event) + "\n"
    descriptor = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


# Only where a worker loads it: a test imports the readers above and has no WITNESS.
if "WITNESS" in os.environ:
    # Strong references, or the receivers vanish; a fixed uid, or a second import would record twice.
    signals.task_prerun.connect(_record_start, weak=False, dispatch_uid="witness-start")
    signals.task_postrun.connect(_record_end, weak=False, dispatch_uid="witness-end")
