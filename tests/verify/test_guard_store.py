"""The look at the store of guards: a real Redis, as it should be and in each wrong configuration."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from click.testing import CliRunner
from live_demo import planned
from processes import wait_until
from servers import HOST, free_port, redis_server, start_redis
from workloads import compiled, workload

from policycompiler.cli import cli
from policycompiler.plan import Plan, node_names
from policycompiler.reality import guard_store as stores
from policycompiler.reality.nodes import Node, Workers
from policycompiler.reality.seen import Seen, SeenQueue, Server
from policycompiler.runtime import guards
from policycompiler.runtime.guards.effects import Effects
from policycompiler.runtime.guards.metrics import Metrics
from policycompiler.runtime.guards.told import OfTask
from policycompiler.verify import guard_store, nodes, queues

pytestmark = pytest.mark.server

KEYED = "tasks: {shop.a: {idempotency_key: id, runtime: 1s, work: io}}"
CALLING = "dependencies: {stripe: {rate: 1/s}}\ntasks: {shop.a: {calls: [stripe]}}"
NAME = "CELERY_GUARD_STORE_URL"


def plan_of(fragment: str = KEYED) -> Plan:
    plan = compiled(workload(fragment)).plan
    assert plan is not None
    return plan


def found(url: str, fragment: str = KEYED) -> dict[str, str]:
    """The messages of the findings by name."""
    plan = plan_of(fragment)
    told = [*guard_store.findings(plan, stores.look(plan, {NAME: url}))]
    return {each.name: each.message for each in told}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture
def client(server) -> Iterator[redis.Redis]:
    """A store as it should be; what a test sets is set back."""
    usual = {"maxmemory": 0, "maxmemory-policy": "noeviction", "save": "", "requirepass": ""}
    usual |= {"appendfsync": "everysec", "appendonly": "yes", "replica-read-only": "yes"}
    with redis.Redis.from_url(server) as client:
        for name, value in usual.items():
            client.config_set(name, value)
        wait_until(lambda: not client.info()["aof_rewrite_in_progress"], "the file is written")
        yield client
        client.replicaof("NO", "ONE")
        client.config_set("requirepass", "")
        client.flushall()


def contents(client: redis.Redis) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.scan_iter()}


def test_a_store_as_it_should_be_has_no_finding_and_is_left_as_it_was(client, server):
    digest = "0" * 64
    for key in (f"shop:shop.a:{digest}", "shop:breaker:{stripe}:failures", "shop:rate:{stripe}"):
        client.set(key, 1, ex=60)
    before = contents(client)
    assert found(server) == {}
    assert contents(client) == before


def test_a_workload_without_guards_has_no_store():
    assert stores.look(plan_of("tasks: {shop.a: {}}"), {}) is None


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_store_that_evicts(client, server, policy):
    """A record has an expiry, so `volatile-` evicts it too."""
    client.config_set("maxmemory-policy", policy)
    assert found(server) == {}
    client.config_set("maxmemory", "100mb")
    assert found(server) == {
        "store-evicts": f"the store of guards evicts records at 100 MiB: `maxmemory-policy` is `{policy}`; "
        "allowed: `noeviction`"
    }


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"appendonly": "no"}, "store-not-persistent", "keeps nothing on disk"),
        ({"appendonly": "no", "save": "3600 1 60 100"}, "store-loses-records", "of up to 1 h"),
        ({"appendfsync": "no"}, "store-loses-records", "`appendfsync` is `no`"),
        ({"appendfsync": "always"}, "", ""),
    ],
)
def test_what_a_crash_of_the_store_loses(client, server, settings, name, words):
    for key, value in settings.items():
        client.config_set(key, value)
    told = found(server)
    assert [*told] == [name][: len(name)]
    assert words in "".join(told.values())
    # Without a record, nothing has to be remembered.
    assert found(server, CALLING) == {}


@pytest.mark.parametrize(("read_only", "words"), [("yes", "it is read-only"), ("no", "discards")])
def test_a_replica_is_no_store(client, server, read_only, words):
    client.config_set("replica-read-only", read_only)
    client.replicaof(HOST, 1)
    assert words in found(server)["store-is-replica"]
    if read_only == "yes":
        with pytest.raises(redis.ReadOnlyError):
            client.set("shop:x", 1)


def test_a_store_that_is_nearly_full(client, server):
    client.config_set("maxmemory", int(client.info()["used_memory"] / 0.9))
    assert [*found(server)] == ["store-memory-high"]


def test_a_store_that_others_use_too(client, server):
    client.sadd("_kombu.binding.mail", "mail")
    client.set("celery-task-meta-1", "{}")
    client.set("session:secret-of-a-user", 1)
    assert found(server)["store-shared"].startswith(
        "the database of the store of guards also has keys of other programs and results of tasks and the "
        "queues of a broker: what fills"
    )
    assert "secret" not in str(found(server))


def test_what_guards_keep_is_their_own(client, server, monkeypatch):
    monkeypatch.setenv(NAME, server)
    trip = {"failures": 1, "within": 60, "open_for": 60}
    told = {"rate": 1.0, "burst": 1, "hold": 1.0, "breaker": trip}
    guarded = guards.guard({"service": "shop", "store": NAME, "dependencies": {"stripe": told}})
    breaker = guarded.breakers["stripe"]
    breaker.admit("first", None).report("failed")
    client.hset(breaker.keys[0], "until", 0)
    breaker.admit("probe", None)
    guarded.rates["stripe"].reserve()
    request = SimpleNamespace(id="1", hostname="w", timelimit=None)
    effects = Effects(guarded.store, guarded.told.names, "shop.a", OfTask(key="number"))
    effects.claim(effects.named(SimpleNamespace(run=lambda number: number), ("1",), {})[0], "a", request)
    worker = SimpleNamespace(tasks={"shop.a": None})
    Metrics(guarded, worker).collect()
    assert len(contents(client)) >= 5
    assert found(server) == {}


@pytest.mark.parametrize(
    ("state", "seconds", "paused"),
    [("open", 60, {"q"}), ("open", -1, set()), ("closed", 60, set())],
)
def test_an_open_breaker_explains_queues_without_consumers(
    client, server, monkeypatch, state, seconds, paused
):
    fragment = (
        "dependencies: {stripe: {breaker: {open_for: 1m}}}\ntasks: {shop.a: {queue: q, calls: [stripe]}}"
    )
    monkeypatch.setenv(NAME, server)
    told = {"breaker": {"failures": 1, "within": 60, "open_for": 60}}
    guarded = guards.guard({"service": "shop", "store": NAME, "dependencies": {"stripe": told}})
    breaker = guarded.breakers["stripe"]
    breaker.admit("call", None).report("failed" if state == "open" else "answered")
    if seconds < 0:
        client.hset(breaker.keys[0], "until", int(1000 * (time.time() + seconds)))
    plan = plan_of(fragment)
    seen = stores.look(plan, {NAME: server})
    assert guard_store.paused(plan, seen) == paused
    assert [each.name for each in guard_store.findings(plan, seen)] == ["breaker-open"] * len(paused)
    [worker] = [each for each in plan.scopes("worker") if plan.texts(each, "queues") == ["q"]]
    name = node_names.pattern(plan, worker).replace("*", "1")
    idle = Workers({name: Node(name)}, {})
    told = {each.name for each in nodes.findings(plan, idle, guard_store.paused(plan, seen))}
    assert ("worker-queues-differ" in told) == (not paused)
    queue = SeenQueue("q", ready=4, consumers=0)
    told = {each.name for each in queues.findings(plan, Seen(Server(), {queue.name: queue}), None, paused)}
    assert ("queue-unserved" in told) == (not paused)


def test_a_store_that_cannot_write_its_files(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with start_redis(folder) as server, redis.Redis.from_url(server.url) as client:
        client.config_set("save", "3600 1")
        client.set("shop:x", 1)
        shutil.rmtree(folder)
        client.bgsave()
        wait_until(lambda: client.info()["rdb_last_bgsave_status"] == "err", "the snapshot has failed")
        assert found(server.url)["store-refuses-writes"].endswith("its last snapshot failed")
        with pytest.raises(redis.ResponseError, match="MISCONF"):
            client.set("shop:x", 2)
        # It would try again before it ends.
        client.config_set("save", "")


@contextmanager
def cluster(folder: Path, number: int) -> Iterator[list[tuple[str, int]]]:
    """Servers with the ports on which they meet."""
    with ExitStack() as stack:
        servers = []
        for each in map(str, range(number)):
            (folder / each).mkdir()
            configuration = folder / each / "redis.conf"
            # By default it is 10,000 above the other port, and no port may be.
            bus = free_port()
            text = f'cluster-enabled yes\ncluster-port {bus}\nappendonly yes\nsave ""\n'
            configuration.write_text(text, "utf-8")
            server = stack.enter_context(start_redis(folder / each, configuration=configuration))
            servers.append((server.url, bus))
        yield servers


def test_the_servers_of_a_cluster_share_the_keys(tmp_path):
    with cluster(tmp_path, 2) as servers, ExitStack() as stack:
        urls = [url for url, _ in servers]
        one, two = (stack.enter_context(redis.Redis.from_url(url)) for url in urls)
        assert found(urls[0])["store-refuses-writes"].startswith("the store of guards refuses writes: ")
        one.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        two.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        port = urls[1].rpartition(":")[2].partition("/")[0]
        one.execute_command("CLUSTER MEET", HOST, port, servers[1][1])
        both = (one, two)
        wait_until(
            lambda: all(each.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for each in both),
            "the servers have met",
        )
        assert [*found(urls[0])] == ["store-clustered"]
        # Slot 12182 is the second server's.
        with pytest.raises(redis.exceptions.MovedError):
            one.set("foo", 1)


def test_a_cluster_of_one_server_is_a_store(tmp_path):
    with cluster(tmp_path, 1) as [(url, _)], redis.Redis.from_url(url) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until(
            lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster has begun"
        )
        assert found(url) == {}


@pytest.mark.parametrize(("off", "words"), [(-40, "40 s ahead of"), (40, "40 s behind")])
@pytest.mark.usefixtures("client")
def test_a_store_with_another_clock(server, monkeypatch, off, words):
    """The server cannot have a wrong clock, so this program has one."""
    clock = stores.time.time
    monkeypatch.setattr(stores.time, "time", lambda: clock() + off)
    assert words in found(server)["store-clock-off"]


@pytest.mark.parametrize("login", ["", ":wrong-secret@", "nobody:wrong-secret@"])
def test_a_store_that_refuses_the_login(client, server, login):
    client.config_set("requirepass", "sekret")
    client.auth("sekret")
    told = found(server.replace("//", f"//{login}"))
    assert [*told] == ["store-refused"]
    assert "secret" not in str(told)
    assert found(server.replace("//", "//:sekret@")) == {}


@pytest.mark.parametrize(
    ("rights", "name"),
    [
        (("+@all", "-@scripting"), "store-refused"),
        (("+@all", "~billing:*"), "store-refused"),
        (("+@all", "~*", "-config"), "look-incomplete"),
    ],
)
def test_a_user_without_a_right(client, server, rights, name):
    patterns = () if "~billing:*" in rights else ("~*",)
    client.execute_command("ACL SETUSER", "guard", "reset", "on", ">pass", *rights, *patterns)
    try:
        told = found(server.replace("//", "//guard:pass@"))
    finally:
        client.execute_command("ACL DELUSER", "guard")
    assert [*told] == [name]


def test_a_database_that_is_not_there(server):
    assert [*found(server.removesuffix("0") + "99")] == ["store-unreachable"]


def test_a_store_that_hangs(tmp_path):
    with start_redis(tmp_path) as server:
        os.kill(server.pids[0], signal.SIGSTOP)
        try:
            assert [*found(server.url)] == ["store-unreachable"]
        finally:
            os.kill(server.pids[0], signal.SIGCONT)


def test_a_store_that_is_gone():
    told = found("redis://:wrong-secret@127.0.0.1:1/0")
    assert [*told] == ["store-unreachable"]
    assert "secret" not in str(told)


@contextmanager
def answering(text: bytes) -> Iterator[str]:
    """A server that is no Redis: it says this to each client."""
    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://:wrong-secret@{HOST}:{listening.getsockname()[1]}/0"
        thread.join()


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x00\x09\x01", b""])
def test_what_answers_is_not_redis(text):
    with answering(text) as url:
        told = found(url)
    assert [*told] == ["store-unreachable"]
    assert "secret" not in str(told)


ODD_OPTIONS = [f"redis://:wrong-secret@{HOST}:1/0?{each}" for each in ("foo=1", "ssl_cert_reqs=none")]
ODD_OPTIONS.append("redis://:s@wrong?secret@host:1/0?socket_timeout=abc")


@pytest.mark.parametrize(
    "url", ["amqp://:wrong-secret@host", "redis://:wrong-secret@host:port/0", "x", *ODD_OPTIONS]
)
def test_a_url_that_is_none(url):
    told = found(url)
    assert [*told] == ["store-unreachable"]
    assert "secret" not in str(told)


def test_the_command_looks_at_the_store(client, server, tmp_path, monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    client.config_set("appendonly", "no")
    build = planned(tmp_path / "plan", "redis", {"tasks/demo.quick/idempotency_key": "id"})

    def told(*more: str) -> list[str]:
        words = ["verify", str(build), "--live", "--broker", server, *more, "--output-format", "json"]
        done = CliRunner(catch_exceptions=False).invoke(cli, words)
        named = [(each["name"], each["message"]) for each in json.loads(done.stdout)["findings"]]
        return [name for name, message in named if "store of guards" in message]

    assert told() == ["look-incomplete"]
    assert "store-not-persistent" in told("--store", server)
    monkeypatch.setenv(NAME, server)
    assert "store-not-persistent" in told()
