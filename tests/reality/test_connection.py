"""How a look reaches a broker, and what it says if it does not."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from live_demo import plan_in, planned
from places import ROOT

from policycompiler.plan import Plan
from policycompiler.reality import connection, live
from policycompiler.reality.connection import UnreachableError, broker_url
from policycompiler.review.conditions import Taken
from policycompiler.rollout import waiting
from policycompiler.rollout.looks import Access
from policycompiler.verify.live import findings


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    return plan_in(planned(tmp_path_factory.mktemp("plan"), "redis"))


def test_the_url_is_the_given_one_or_that_of_the_variable(plan):
    variables = {"CELERY_BROKER_URL": "redis://there/0"}
    assert broker_url(plan, "redis://here/0", variables) == "redis://here/0"
    assert broker_url(plan, None, variables) == "redis://there/0"
    with pytest.raises(UnreachableError, match="CELERY_BROKER_URL is not set"):
        broker_url(plan, None, {})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqp://guest:sekret@h//", "is not a URL of Redis"),
        ("sekret", "is not a URL of Redis"),
        ("redis://:sek/ret@h/0", "wrong host or port"),
        ("redis://:sekret@h:port/0", "wrong host or port"),
        ("redis://:sekret@[::1/0", "wrong host or port"),
        ("redis://:sekret@h:99999/0", "wrong host or port"),
        ("redis://h:0/0", "wrong host or port"),
        ("redis://", "--broker has no host"),
        ("redis://:sekret@:6379/0", "--broker has no host"),
        ("redis+socket:///nowhere/redis.sock", "nowhere"),
        ("redis://:sekret@127.0.0.1:1/0;redis://:sekret@127.0.0.1:1/0", "redis://127.0.0.1:1: "),
    ],
)
def test_a_wrong_url_is_a_finding_without_the_password(plan, url, words):
    (found,) = findings(plan, live.look(plan, {}, broker=url))
    assert found.name == "broker-unreachable"
    assert words in found.message
    assert "sek" not in found.message


@contextmanager
def a_broker_that_answers_a_byte_at_a_time() -> Iterator[int]:
    """A port; no single read of a client meets its time limit."""
    ended = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, suppress(OSError):
            while not ended.wait(0.2):
                client.sendall(b"+")

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=[server.accept()[0]], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            # Wakes the thread that accepts.
            server.shutdown(socket.SHUT_RDWR)


# A client library that is interrupted leaves its socket to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(("transport", "scheme"), [("redis", "redis"), ("rabbitmq", "amqp")])
def test_a_broker_that_never_ends_its_answer_ends_the_look(tmp_path, monkeypatch, transport, scheme):
    plan = plan_in(planned(tmp_path, transport))
    monkeypatch.setattr(connection, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(waiting, "_LEAST_SECONDS", 1.0)
    with a_broker_that_answers_a_byte_at_a_time() as port:
        url = f"{scheme}://:sekret@127.0.0.1:{port}/0"
        (found,) = findings(plan, live.look(plan, {}, broker=url))
        limits = waiting.Limits(timeout_seconds=1, interval_seconds=1)
        ended = waiting.wait([(Taken(plan="", queues=("mail",)), plan)], Access(url, None, {}), limits, str)
    assert "the answer was not complete within 1 s" in found.message
    assert ended == (False, "the broker cannot be asked: the answer was not complete within 1 s")
    gc.collect()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_missing_library_names_the_extra_that_installs_it(tmp_path):
    build = planned(tmp_path, "redis")
    # In a process of its own: kombu remembers what it has imported.
    (tmp_path / "redis.py").write_text("raise ImportError('no module named redis')\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "policycompiler",
            "verify",
            build,
            "--live",
            "--broker",
            "redis://127.0.0.1:1/0",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "error[PC842] client-library-missing: " in done.stdout
    assert "install it with `pip install 'policycompiler[redis]'`" in done.stdout


def test_a_broker_of_another_kind_is_not_looked_at(tmp_path):
    memory = plan_in(planned(tmp_path, "memory", {"broker/url": "memory://"}))
    (found,) = findings(memory, live.look(memory, {}))
    assert (found.name, found.message) == ("look-incomplete", f"there is no look at {memory.broker.label}")
