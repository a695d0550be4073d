"""What was really sent: an app that imports this notes each publish before and after it, in `PUBLISHED`.

Producers and beat alike. One short write to a file opened for appending is not torn by another process's, so
the order of the lines is the order of what happened.
"""

from __future__ import annotations

import json
import os

from celery import signals


def _before(sender=None, headers=None, **_ignored):
    _append("before", sender, headers["id"])


def _after(sender=None, headers=None, **_ignored):
    _append("after", sender, headers["id"])


def _append(event, task, task_id):
    line = json.dumps({"event": event, "task": task, "id": task_id, "pid": os.getpid()}) + "\n"
    descriptor = os.open(os.environ["PUBLISHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


if "PUBLISHED" in os.environ:
    signals.before_task_publish.connect(_before, weak=False, dispatch_uid="published-before")
    signals.after_task_publish.connect(_after, weak=False, dispatch_uid="published-after")
