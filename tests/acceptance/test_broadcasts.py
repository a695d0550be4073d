"""Broadcast queues as emitted: every worker gets every message, on both brokers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from broadcasts import listening, send
from compiled import configured_app
from kombu import Connection
from servers import rabbitmq_server, redis_server
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

EMITTED = 'app.config_from_object("celeryconfig")'


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request) -> tuple[str, str]:
    """Its kind, and where it is."""
    return request.param, request.getfixturevalue(f"{request.param}_url")


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
