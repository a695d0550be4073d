"""Broadcast messages for tests: somebody who listens, and a sender that has done nothing before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kombu import Connection
from processes import wait_until

SEND = """
from celery import Celery
from kombu.common import Broadcast

app = Celery("sender")
{configured}
app.send_task("shop.a", queue="news")
"""


@contextmanager
def listening(url: str, queue) -> Iterator[Callable[[int], list[str]]]:
    """Somebody who consumes a queue while the block lasts, and tells which tasks have come."""
    come: list[str] = []
    with Connection(url) as connection, connection.channel() as channel:

        def take(_body, message):
            come.append(message.headers["task"])
            message.ack()

        with connection.Consumer(queue, channel=channel, callbacks=[take], accept=["json"]):
            # Only who waits already is subscribed on Redis.
            _drained(connection, come, 0)

            def drain(times: int) -> list[str]:
                wait_until(lambda: _drained(connection, come, times), f"{times} messages come")
                return come

            yield drain


def _drained(connection: Connection, come: list[str], times: int) -> bool:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)
    return len(come) >= times


def send(configured: str, folder: Path, **environment: str) -> None:
    """Send from a process that has sent and consumed nothing before."""
    subprocess.run(
        [sys.executable, "-c", SEND.format(configured=configured)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=True,
        timeout=60,
    )
