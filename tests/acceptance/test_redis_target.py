"""What is emitted for Redis, on each Redis: it starts, keeps messages, and its memory holds what is declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from servers import REDIS, start_redis
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.policies.broker.redis_server import ENCODED, ENVELOPE

pytestmark = pytest.mark.server

DECLARED = "tasks: {shop.a: {rate: 10/s, payload: 2KiB}}\n"


KEYED = DECLARED.replace("rate: 10/s", "rate: 10/s, idempotency_key: {key: id, keep: 1h}")


@contextmanager
def emitted(
    folder: Path, program: str, more: str = "", fragment: str = DECLARED, path: str = "redis/redis.conf"
) -> Iterator[tuple[str, redis.Redis]]:
    """A server that has read the emitted lines, and then more."""
    source = folder / "workload.yaml"
    source.write_text(workload(fragment))
    compilation = compile_workload([source], targets=["redis"])
    (text,) = (file.text for file in compilation.files if file.path == path)
    configuration = folder / "redis.conf"
    configuration.write_text(text + more)
    with (
        start_redis(folder, program, configuration) as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        yield server.url, client


@pytest.mark.parametrize("program", REDIS)
def test_redis_starts_with_every_line(tmp_path, program):
    with emitted(tmp_path, program) as (_, client):
        found = {
            name: client.config_get(name)[name]
            for name in (
                "maxmemory-policy",
                "appendonly",
                "appendfsync",
                "tcp-keepalive",
                "databases",
                "maxmemory",
            )
        }
    assert found == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "tcp-keepalive": "60",
        "databases": "16",
        "maxmemory": str(446 * 2**20),
    }


@pytest.mark.parametrize("program", REDIS)
def test_the_redis_of_guards_starts_with_every_line(tmp_path, program):
    with emitted(tmp_path, program, fragment=KEYED, path="redis/guards.conf") as (_, client):
        lines = ("maxmemory-policy", "appendonly", "appendfsync", "maxmemory")
        found = [client.config_get(name)[name] for name in lines]
    # 10 a second for an hour, 1.5 KiB each, and half of that as room.
    assert found == ["noeviction", "yes", "everysec", str(80 * 2**20)]


@pytest.mark.parametrize("program", REDIS)
def test_messages_outlive_redis(tmp_path, program):
    with emitted(tmp_path, program) as (url, _):
        Celery("sender", broker=url, set_as_current=False).send_task("shop.a")
    with emitted(tmp_path, program) as (_, client):
        assert client.llen("celery") == 1


@pytest.mark.parametrize("program", REDIS)
def test_a_full_redis_refuses_messages_and_keeps_those_it_has(tmp_path, program):
    with emitted(tmp_path, program, "maxmemory 8mb\n") as (url, client):
        sender = Celery("sender", broker=url, set_as_current=False)
        sent = _fill(sender)
        assert client.llen("celery") == sent > 10


def _fill(sender: Celery) -> int:
    """How many messages Redis takes before it refuses one."""
    for sent in range(2000):
        try:
            sender.send_task("shop.a", ["x" * 20_000], retry=False)
        except OperationalError as refusal:
            return sent if "maxmemory" in str(refusal) else 0
    return 0


@pytest.mark.parametrize("payload", [0, 2_000, 20_000, 66_000])
def test_a_message_takes_no_more_memory_than_is_computed(tmp_path, payload):
    with emitted(tmp_path, REDIS[0]) as (url, client):
        sender = Celery("sender", broker=url, set_as_current=False)
        sender.conf.task_routes = {"shop.*": {"queue": "q" * 100}}
        count = 200
        for _ in range(10):
            sender.send_task("shop.a", ["x" * payload])
        before = client.info("memory")["used_memory"]
        for _ in range(count):
            sender.send_task("shop.a", ["x" * payload])
        each = (client.info("memory")["used_memory"] - before) / count
    assert payload * 4 / 3 < each < payload * ENCODED + ENVELOPE
