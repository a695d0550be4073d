"""The app that these tests ask about Celery: `celery --app knowledge.app worker`, with `SETTINGS=FILE`.

A test makes the same app from the same settings, so that it sends as a producer that has the tasks. The file
is a pickle, because settings hold queues, exception classes and schedules.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import witness
from celery import Celery, signals
from celery.bootsteps import StartStopStep
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.schedules import crontab

RELEASE_SECONDS = 60
"""How long a held task waits before it gives up; no test comes near it."""


class CrontabKolkata(crontab):
    """A crontab that brings its own zone, as a generated `celeryconfig.py` has it; half an hour off UTC."""

    tz = ZoneInfo("Asia/Kolkata")


class ByPattern:
    """An annotation that gives options to every task whose name begins so."""

    def __init__(self, prefix: str, options: Mapping[str, object]):
        self.prefix, self.options = prefix, options

    def annotate(self, task):
        return dict(self.options) if task.name.startswith(self.prefix) else None

    def annotate_any(self):
        return None


def make(settings: Mapping[str, object]) -> Celery:
    """An app with these settings and all tasks."""
    app = Celery("knowledge", set_as_current=False)
    app.config_from_object(dict(settings))
    # Not shared: Celery would give them to every other app of the process.
    for task in (quick, nap, compute, hold, shrug, echo, tell, die, fail, skip, refuse):
        app.task(name=task.__name__, shared=False)(task)
    app.task(name="ignored_echo", shared=False)(echo)
    app.task(name="again", bind=True, shared=False)(again)
    return app


class Shows(StartStopStep):
    """Adds something to what a worker answers to `stats`."""

    def info(self, obj):
        del obj
        return {"shown": os.environ["SHOWN"]}


def quick():
    """End at once."""


def echo(value):
    """Return what is given."""
    return value


def nap(seconds):
    """Wait, as for a slow service."""
    time.sleep(seconds)


def compute(seconds):
    """Keep the processor and never yield."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hold(path):
    """Run until the test makes the file."""
    end = time.monotonic() + RELEASE_SECONDS
    while not Path(path).exists():
        if time.monotonic() > end:
            message = f"nobody made {path}"
            raise TimeoutError(message)
        time.sleep(0.05)


def shrug(seconds):
    """Catch the soft limit and go on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(end - time.monotonic())
        except SoftTimeLimitExceeded:
            witness._append({"event": "soft limit", "task": "shrug"})


def tell(values):
    """Record what a chord's parts returned."""
    witness._append({"event": "told", "task": "tell", "values": values})


def die():
    """Lose the process, as the kernel ends one for its memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    """Meet a dependency that is down."""
    raise ConnectionError


def skip():
    """Say that the run does not count."""
    raise Ignore


def refuse():
    """Say that the message is of no use to anybody."""
    raise Reject("of no use", requeue=False)


def again(self):
    """Ask for a retry."""
    raise self.retry(countdown=0)


def _record_ready(**_ignored):
    witness._append({"event": "ready", "task": None})


def _record_retry(sender, reason, **_ignored):
    witness._append({"event": "retry", "task": sender.name, "wait": reason.when})


if "SETTINGS" in os.environ:
    app = make(pickle.loads(Path(os.environ["SETTINGS"]).read_bytes()))
    signals.worker_ready.connect(_record_ready, weak=False)
    signals.task_retry.connect(_record_retry, weak=False)

if "SIGNALS" in os.environ:
    main = os.getpid()

    def _record_end(signal, sender=None, task_id=None, message=None, **given):
        """Which signal, for which task, in which process, and whether the request of the run is there."""
        request = given.get("request") or getattr(sender, "request", None)
        found = (
            task_id
            or given.get("id")
            or (message and message.headers.get("id"))
            or getattr(request, "id", None)
        )
        known = getattr(request, "id", None) is not None
        more = {"expired": True} if given.get("expired") else {}
        told = {"event": "signal", "signal": signal.name, "task": found, "known": known, **more}
        witness._append({**told, "main": os.getpid() == main})

    for _signal in (
        *(signals.task_failure, signals.task_internal_error, signals.task_unknown),
        *(signals.task_rejected, signals.task_revoked),
    ):
        _signal.connect(_record_end, weak=False)

if "SHOWN" in os.environ:

    @signals.worker_init.connect
    def _show(sender, **_):
        sender.app.steps["worker"].add(Shows)
