"""Rehearsals on a broker of the user: it must be empty, and it is empty afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import redis
from kombu import Connection
from processes import wait_until
from servers import Server, redis_server, start_rabbitmq

from policycompiler import compiler, rehearse
from policycompiler.plan import Plan
from policycompiler.rehearse import RehearsalError

pytestmark = pytest.mark.server

WORKLOAD = (
    "version: 1\nservice: tried\napp: tried.app:app\ntasks: {tried.a: {queue: one}, tried.b: {queue: two}}\n"
)


def compiled(folder: Path, broker: str) -> compiler.Compilation:
    source = folder / "workload.yaml"
    source.write_text(
        f"{WORKLOAD}broker: {{transport: {broker}, url: '${{TRIED_BROKER}}'}}\n", encoding="utf-8"
    )
    return compiler.compile_workload([source], targets=["celeryconfig", "launch"])


def rehearsed(made: compiler.Compilation, url: str):
    assert isinstance(made.plan, Plan)
    return rehearse.rehearse(made.plan, made.files, None, url)


def declared(server: Server) -> list[str]:
    """All queues and exchanges of the default virtual host."""
    found: list[str] = []
    for what in ("queues", "exchanges"):
        address = urlsplit(server.management)
        request = Request(f"http://{address.hostname}:{address.port}/api/{what}/%2F?disable_stats=true")
        request.add_header("Authorization", f"Basic {b64encode(b'guest:guest').decode()}")
        with urlopen(request, timeout=10) as answer:
            found += [f"{what} {each['name']}" for each in json.load(answer)]
    return sorted(found)


@pytest.fixture(scope="module")
def on_redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


def test_redis_is_empty_afterwards(tmp_path, on_redis):
    url = on_redis.replace("/0", "/1")
    found = rehearsed(compiled(tmp_path, "redis"), url)
    assert found.succeeded, found
    assert redis.Redis.from_url(url).keys() == []


def test_a_message_that_waits_is_not_taken(tmp_path, on_redis):
    client = redis.Redis.from_url(on_redis.replace("/0", "/2"))
    client.lpush("one", "a message")
    with pytest.raises(RehearsalError, match=r"database 2 has 1 key; .* such as redis://HOST:6379/15"):
        rehearsed(compiled(tmp_path, "redis"), on_redis.replace("/0", "/2"))
    assert client.keys() == [b"one"]
    assert client.lrange("one", 0, -1) == [b"a message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_redis_is_empty_after_an_interrupt(tmp_path, on_redis, number):
    compiled(tmp_path, "redis")
    client = redis.Redis.from_url(on_redis.replace("/0", "/3"))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "policycompiler",
            "rehearse",
            tmp_path,
            "--broker",
            on_redis.replace("/0", "/3"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: client.exists("_kombu.binding.one"), "a worker that consumes", seconds=60)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    assert client.keys() == []


def test_rabbitmq_is_empty_afterwards_and_a_queue_of_the_plan_is_left_alone(tmp_path):
    with start_rabbitmq(tmp_path, "rabbitmq_management") as server:
        made = compiled(tmp_path, "rabbitmq")
        before = declared(server)
        found = rehearsed(made, server.url)
        assert found.succeeded, found
        assert declared(server) == before
        with Connection(server.url) as connection:
            connection.SimpleQueue("one").put("a message")
            with pytest.raises(RehearsalError, match=r"has queue `one`.*use a virtual host of its own"):
                rehearsed(made, server.url)
            assert connection.default_channel.queue_declare("one", passive=True).message_count == 1


@pytest.mark.parametrize(
    ("broker", "url", "words"),
    [
        ("redis", "redis://:hunter2@127.0.0.1:1/0", "redis://127.0.0.1:1: "),
        ("redis", "redis://:hunter2@127.0.0.1:99999/0", "wrong host or port"),
        ("redis", "amqp://u:hunter2@127.0.0.1//", "not a URL of Redis"),
        ("sqs", "sqs://key:hunter2@", "SQS cannot show that it is empty"),
    ],
)
def test_a_broker_that_cannot_be_asked_is_refused_without_the_password(tmp_path, broker, url, words):
    with pytest.raises(RehearsalError) as refusal:
        rehearsed(compiled(tmp_path, broker), url)
    assert words in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_wrong_password_is_a_usage_error(tmp_path, on_redis):
    compiled(tmp_path, "redis")
    url = on_redis.replace("redis://", "redis://nobody:hunter2@")
    done = subprocess.run(
        [sys.executable, "-m", "policycompiler", "rehearse", tmp_path, "--broker", url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "invalid username-password pair" in done.stderr
    assert "hunter2" not in done.stderr
