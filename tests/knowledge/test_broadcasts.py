"""How a message reaches every worker, and how it reaches none.

On it rest the policy queue-declarations and the class `ToEverybody` of the emitted `celeryconfig.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from celery import Celery
from compiled import configured_app
from kombu import Connection, Exchange
from kombu.common import Broadcast
from processes import wait_until
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

SEND = """
from celery import Celery
from kombu.common import Broadcast

app = Celery("sender")
{configured}
app.send_task("shop.a", queue="news")
"""
KOMBUS_OWN = 'app.conf.update(broker_url={url!r}, task_queues=[Broadcast("news", routing_key="news")])'
EMITTED = 'app.config_from_object("celeryconfig")'


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request) -> tuple[str, str]:
    """Its kind, and where an empty one of it is."""
    return request.param, request.getfixturevalue(f"{request.param}_url")


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


def test_a_message_to_kombus_broadcast_is_lost_on_redis_where_its_sender_never_consumed(redis_url, tmp_path):
    """A sender declares no `Broadcast`, and Redis does not tell it that the exchange copies to everybody."""
    with listening(redis_url, Broadcast("news", routing_key="news")) as drain:
        send(KOMBUS_OWN.format(url=redis_url), tmp_path)
        here = Celery("here", set_as_current=False)
        here.conf.update(broker_url=redis_url, task_queues=[Broadcast("news", routing_key="news")])
        here.send_task("shop.b", queue="news", declare=[Exchange("news", type="fanout")])
        assert drain(1) == ["shop.b"]


def test_a_message_to_a_broadcast_as_emitted_reaches_everybody(broker, tmp_path):
    kind, url = broker
    build = emitted(kind, tmp_path)
    apps = [configured_app(build, {"B": url}) for _ in range(2)]
    with (
        listening(url, apps[0].amqp.queues["news"]) as first,
        listening(url, apps[1].amqp.queues["news"]) as second,
    ):
        send(EMITTED, build, B=url)
        assert first(1) == ["shop.a"]
        assert second(1) == ["shop.a"]


def test_a_sender_of_a_broadcast_as_emitted_leaves_no_queue_behind(rabbitmq_url, tmp_path):
    build = emitted("rabbitmq", tmp_path)
    app = configured_app(build, {"B": rabbitmq_url})
    app.send_task("shop.a", queue="news")
    with Connection(rabbitmq_url) as connection, pytest.raises(connection.channel_errors, match="no queue"):
        connection.default_channel.queue_declare(app.amqp.queues["news"].name, passive=True)


def emitted(kind: str, folder: Path) -> Path:
    """The settings of a workload with a broadcast queue, on a broker whose URL is the variable B."""
    source = folder / "workload.yaml"
    source.write_text(
        workload(
            f'broker: {{transport: {kind}, url: "${{B}}", version: "3.10"}}\n'
            "tasks: {shop.a: {queue: news}}\n"
            "queues: {news: {broadcast: true}}\n"
        )
    )
    compilation = compile_workload([source], targets=("celeryconfig",))
    assert not compilation.failed, compilation.diagnostics
    (text,) = (file.text for file in compilation.files if file.path == "celeryconfig.py")
    (folder / "celeryconfig.py").write_text(text)
    return folder
