"""The private servers answer, listen on loopback only, and are gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
from kombu import Connection
from processes import EndedEarlyError, running, stop, wait_until
from servers import RABBITMQ, REDIS, Server, start_rabbitmq, start_redis

pytestmark = pytest.mark.server
Start = Callable[[Path], AbstractContextManager[Server]]
LOOPBACK = {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("program", "answers"),
    [*zip(REDIS, [("redis", "7"), ("redis", "8"), ("valkey", "8")], strict=True)],
)
def test_redis_says_what_it_is(tmp_path, program: str, answers: tuple[str, str]):
    with start_redis(tmp_path, program) as server, redis.Redis.from_url(server.url) as client:
        found = client.info("server")
    name = found.get("server_name", "redis")
    assert (name, str(found[f"{name}_version"]).partition(".")[0]) == answers


@pytest.mark.parametrize("release", RABBITMQ)
def test_rabbitmq_gives_back_a_published_message(tmp_path, release: str):
    with (
        start_rabbitmq(tmp_path, release=release) as server,
        Connection(server.url) as connection,
        connection.SimpleQueue("greetings") as queue,
    ):
        queue.put({"hello": "world"})
        version = connection.connection.server_properties["version"]
        message = queue.get(timeout=10)
        message.ack()
    assert message.payload == {"hello": "world"}
    assert version.startswith(f"{release}.")


@pytest.mark.parametrize(
    ("start", "listeners"),
    # RabbitMQ: AMQP and distribution of the node, and its epmd, which also takes ::1 where there is one.
    [
        *(pytest.param(partial(start_redis, program=each), 1, id=each) for each in REDIS),
        *(pytest.param(partial(start_rabbitmq, release=each), 3, id=f"rabbitmq {each}") for each in RABBITMQ),
    ],
)
def test_listens_on_loopback_only_and_is_gone_afterwards(tmp_path, start: Start, listeners: int):
    with start(tmp_path) as server:
        family = _family(server.pids)
        addresses = {(found.laddr.ip, found.laddr.port) for one in family for found in _listening(one)}
    assert len({port for _, port in addresses}) == listeners
    assert {ip for ip, _ in addresses} <= LOOPBACK
    wait_until(lambda: all(map(_ended, family)), "all processes ended", seconds=10)


def test_two_servers_of_a_kind_do_not_meet(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with start_redis(folders[0]) as first, start_redis(folders[1]) as second:
        with redis.Redis.from_url(first.url) as client:
            client.set("only", "here")
        with redis.Redis.from_url(second.url) as client:
            assert client.get("only") is None


def test_a_block_left_by_an_exception_stops_the_server_too(tmp_path):
    with pytest.raises(LookupError), start_redis(tmp_path) as server:
        raise LookupError
    assert not psutil.pid_exists(server.pids[0])


def test_a_process_that_ends_early_is_reported_with_its_words(tmp_path):
    log = tmp_path / "log"
    with (
        running(["sh", "-c", "echo no such luck; exit 3"], log=log) as process,
        pytest.raises(EndedEarlyError, match=r"(?s)exit status 3 before: luck.*no such luck"),
    ):
        wait_until(lambda: False, "luck", process=process, log=log)


def test_a_child_left_in_the_group_is_killed(tmp_path):
    command = ["sh", "-c", "sleep 600 & echo $! > part; mv part pid; wait"]
    with running(command, log=tmp_path / "log", folder=tmp_path) as process:
        wait_until((tmp_path / "pid").exists, "the child runs", process=process)
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        stop(process)
    wait_until(lambda: _ended(child), "the child ended", seconds=10)


def _family(pids: Iterable[int]) -> list[psutil.Process]:
    parents = [psutil.Process(pid) for pid in pids]
    return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]


def _listening(process: psutil.Process):
    return [found for found in process.net_connections("tcp") if found.status == psutil.CONN_LISTEN]


def _ended(process: psutil.Process) -> bool:
    """True also of a zombie: where nothing reaps orphans, one stays behind."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
