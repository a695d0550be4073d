"""Sends the messages of a load test, each at its time: a process of its own, so that nothing delays it.

Its arguments are a folder, and which of several senders it is, such as 0. The folder has `plan.json` and
`messages-0.jsonl`. The process says that it is ready with `ready-0`, begins as `begin.json` says, and notes
each message in `sent-0.jsonl`. The URL of the broker is in the variable of `BROKER`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kombu.messaging import Producer

from policycompiler.plan.file import from_json
from policycompiler.reality import connection
from policycompiler.runtime.stand_ins import PREFIX

BROKER = "POLICYCOMPILER_LOAD_BROKER"
"""A variable, because everybody on a host sees the words of a command."""
_SLICE_SECONDS = 0.05
"""How soon a stop is seen."""

_stopped = False


def _stop(*_: object) -> None:
    global _stopped  # noqa: PLW0603 - a signal has no other way
    _stopped = True


def main() -> None:
    """Send all messages of one part, or those before a stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    folder, number = Path(sys.argv[1]), sys.argv[2]
    lines = (folder / f"messages-{number}.jsonl").read_text("utf-8").splitlines()
    planned = [json.loads(line) for line in lines]
    app = connection.client(from_json((folder / "plan.json").read_text("utf-8")), os.environ[BROKER])
    with (
        connection.connected(app) as connected,
        (folder / f"sent-{number}.jsonl").open("w", encoding="utf-8", buffering=1) as notes,
    ):
        make: Any = Producer
        producer = make(connected.channel(), auto_declare=False)
        (folder / f"ready-{number}").touch()
        job = _job(folder)
        for late, each in _on_time(planned, job.get("begin", 0.0)):
            sent = time.time()
            _publish(app, producer, job, each)
            notes.write(json.dumps([each["number"], sent, late]) + "\n")


def _job(folder: Path) -> Mapping[str, Any]:
    """The name of the test, and when all parts begin and end; empty if a stop comes first."""
    path = folder / "begin.json"
    while not path.exists() and not _stopped:
        time.sleep(_SLICE_SECONDS)
    return {} if _stopped else json.loads(path.read_text("utf-8"))


def _on_time(planned: list[dict[str, Any]], begin: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each message at its time, with the seconds by which it is late."""
    for each in planned:
        due = begin + each["after"]
        while not _stopped and (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
        if _stopped:
            return
        yield time.monotonic() - due, each


def _publish(app: Any, producer: Any, job: Mapping[str, Any], each: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Send a message to its queue, by the exchange that every broker has; nothing is declared."""
    message = app.amqp.create_task_message(
        f"{job['test']}-{each['number']}",
        PREFIX + each["task"],
        [each["seconds"], job["until"]],
        {"computes": each["computes"], "most": each["most"]},
        expires=datetime.fromtimestamp(job["until"], UTC),
    )
    producer.publish(
        message.body,
        exchange="",
        routing_key=each["queue"],
        headers=message.headers,
        serializer="json",
        priority=each["priority"],
        retry=False,
        **message.properties,
    )
