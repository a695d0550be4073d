"""The log of workers and beat as lines of JSON, with the task that each line is about.

Shipped by policycompiler beside celeryconfig.py. Do not edit.

A line never has the arguments of a task: neither those that Celery gives to formatters
for its own lines, nor the bodies of messages that a worker cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from logging import Formatter, Logger, LogRecord
from typing import Any

from celery import signals
from celery._state import get_current_task
from celery.utils.log import ColorFormatter, get_multiprocessing_logger

_BODIES = ("The full contents of the message", " [type:", "\nbody: ")
"""Where Celery's messages about unreadable messages begin to quote them."""
_CONSUMER = "celery.worker.consumer"
_state: dict[str, str] = {}


def write_json() -> None:
    """Give Celery's handlers a formatter of JSON; those of the app keep theirs."""
    for signal, receiver in (
        (signals.celeryd_init, _name_worker),
        (signals.after_setup_logger, _format),
        (signals.after_setup_task_logger, _format),
    ):
        uid = f"celeryconfig-logs-{receiver.__name__}"
        signal.connect(receiver, weak=False, dispatch_uid=uid)


def _name_worker(sender: Any = None, **_: Any) -> None:
    _state["worker"] = str(sender)


def _format(logger: Logger, **_: Any) -> None:
    # Celery tells nobody about the logger of pools, which reports killed processes.
    pools = get_multiprocessing_logger()
    for each in (logger, *([] if pools is None else [pools])):
        for handler in each.handlers:
            if isinstance(handler.formatter, ColorFormatter):
                handler.setFormatter(JsonLines())


class JsonLines(Formatter):
    """One JSON object a line; line breaks of messages and tracebacks are escaped."""

    def format(self, record: LogRecord) -> str:
        """The line of a record."""
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **_state,
            **_task(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str)


def _message(record: LogRecord) -> str:
    text = record.getMessage()
    if record.name.startswith(_CONSUMER):
        for mark in _BODIES:
            text = text.partition(mark)[0].rstrip()
    return text


def _task(record: LogRecord) -> dict[str, Any]:
    """The task that runs here, or the one that Celery says something about."""
    found: dict[str, Any] = {}
    task = get_current_task()
    if task is not None and task.request.id is not None:
        found = {
            "task": task.name,
            "id": task.request.id,
            "retries": task.request.retries,
        }
        found["queue"] = _queue(task.app, task.request.delivery_info)
    data = getattr(record, "data", None)
    if isinstance(data, Mapping) and "id" in data and "name" in data:
        found.update(task=data["name"], id=data["id"])
    return {key: value for key, value in found.items() if value is not None}


def _queue(app: Any, info: Any) -> str | None:
    """The queue of a run; unknown if only a pattern of routing keys leads to it."""
    exchange, key = ((info or {}).get(each) for each in ("exchange", "routing_key"))
    if not exchange:
        return key if isinstance(key, str) else None
    for name, queue in list(app.amqp.queues.items()):
        if (queue.exchange.name, queue.routing_key) == (exchange, key):
            return str(name)
    return None
