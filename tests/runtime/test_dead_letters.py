"""The module that keeps dead letters in a worker: in every pool, whole, bounded, and once."""

from __future__ import annotations

import ast
import json
import os
import sys
from base64 import b64decode
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from celery import Celery
from celery.exceptions import Retry
from compiled import configured_app, write_configuration
from kombu import Exchange, Queue
from kombu.compression import decompress
from processes import running, wait_until
from servers import redis_server
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.runtime import dead_letters
from policycompiler.runtime.dead_letters import HEADER

POOLS = ("prefork", "solo", "threads", "gevent")
MOST = 3
APP = """\
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
@app.task(name="shop.fail")
def fail(*args, **named):
    raise ConnectionError("swordfish")
@app.task(name="shop.next")
def next_(*args):
    pass
"""


@pytest.fixture
def kept():
    """Keeps the dead letters of queues in this process; none afterwards."""
    yield dead_letters.keep
    dead_letters.keep({})


def test_it_imports_nothing_of_ours_and_no_other_library():
    tree = ast.parse(Path(dead_letters.__file__).read_text("utf-8"), feature_version=(3, 9))
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert found - sys.stdlib_module_names == {"celery", "kombu", "redis"}


QUEUES = (
    Queue("direct", Exchange("direct"), routing_key="direct"),
    Queue("key", Exchange("shared"), routing_key="a.key"),
    Queue("topic", Exchange("topics", type="topic"), routing_key="shop.*.mail"),
    Queue("other", Exchange("topics", type="topic"), routing_key="shop.#"),
    Queue("plain", Exchange("topics", type="topic"), routing_key="plain"),
)
DELAY = ".".join("0" * 28)


@pytest.mark.parametrize(
    ("exchange", "key", "preferred", "queue"),
    [
        ("", "direct", None, "direct"),
        (None, "direct", None, "direct"),
        ("", "not kept", None, None),
        ("shared", "a.key", None, "key"),
        ("shared", "direct", None, None),
        ("topics", "shop.a.mail", "topic", "topic"),
        ("topics", "shop.a.mail", "other", "other"),
        ("topics", "shop.a", "topic", "other"),
        ("topics", "mail", "topic", None),
        ("topics", "plain", None, None),
        ("celery_delayed_delivery", f"{DELAY}.direct", None, "direct"),
        ("celery_delayed_delivery", f"{DELAY}.shop.a.mail", "topic", "topic"),
    ],
)
def test_the_queue_follows_from_the_address_of_the_message(kept, exchange, key, preferred, queue):
    kept({name: (f"{name}.dead", 0, False) for name in ("direct", "key", "topic", "other")})
    app = Celery("reader", set_as_current=False)
    app.conf.task_queues = QUEUES
    info = {"exchange": exchange, "routing_key": key}
    assert dead_letters._queue_of(app, info, preferred) == queue


@pytest.mark.parametrize(
    ("options", "reason", "otherwise"),
    [
        ({"acks_late": False}, "failed", False),
        ({"acks_late": True, "acks_on_failure": True, "acks_on_timeout": True}, "failed", False),
        ({"acks_late": True, "acks_on_failure": False, "acks_on_timeout": True}, "failed", True),
        ({"acks_late": True, "acks_on_failure": False, "acks_on_timeout": True}, "worker-lost", True),
        ({"acks_late": True, "acks_on_failure": False, "acks_on_timeout": True}, "time-limit", False),
        ({"acks_late": True, "acks_on_failure": True, "acks_on_timeout": False}, "time-limit", True),
        ({"acks_late": True, "acks_on_failure": True, "acks_on_timeout": True}, "rejected", True),
        ({"acks_late": False}, "rejected", False),
        ({"acks_late": True, "acks_on_failure_or_timeout": False}, "failed", True),
        ({"acks_late": True, "acks_on_failure_or_timeout": False}, "time-limit", True),
        ({"acks_late": True, "acks_on_failure_or_timeout": True}, "time-limit", False),
    ],
)
def test_what_the_broker_keeps_is_not_copied(options, reason, otherwise):
    """Celery before 5.7 has one flag for both."""
    kept = dead_letters.Kept("q.dead", 0, acknowledged_only=True)
    assert dead_letters._is_kept_otherwise(SimpleNamespace(**options), reason, kept) is otherwise
    if reason != "time-limit":
        alone = kept._replace(acknowledged_only=False)
        assert not dead_letters._is_kept_otherwise(SimpleNamespace(**options), reason, alone)


def test_a_task_that_runs_in_a_publisher_leaves_no_letter(kept):
    app = Celery("publisher", broker="memory://", set_as_current=False)

    @app.task(name="fail", shared=False)
    def fail():
        raise ConnectionError

    kept({"celery": ("celery.dead", 0, False)})
    fail.apply()
    with app.connection_for_read() as connection:
        assert connection.default_channel._size("celery.dead") == 0


def test_a_letter_that_cannot_be_published_disturbs_no_worker_and_tells_no_argument(kept, caplog):
    kept({"celery": ("celery.dead", 0, False)})
    app = Celery("worker", broker="redis://:pa55word@127.0.0.1:1/0", set_as_current=False)

    @app.task(name="fail", shared=False)
    def task():
        pass

    info = {"exchange": "", "routing_key": "celery"}
    request = {"id": "1", "delivery_info": info, "properties": {}, "args": ["swordfish"], "kwargs": {}}
    dead_letters._failed(sender=task, task_id="1", exception=ConnectionError("swordfish"), request=request)
    (line,) = caplog.messages
    assert line.startswith("fail[1] leaves no dead letter")
    assert "swordfish" not in line
    assert "pa55word" not in line


def caused_by(*errors: Exception) -> Exception:
    """An exception that was raised while another one was handled, and so on."""
    for cause, error in pairwise(errors):
        error.__context__ = cause
    return errors[-1]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError("away"), 1),
        (caused_by(ValueError(), OSError("away")), 1),
        (caused_by(Retry(), OSError("away")), 0),
        (caused_by(Retry(), KeyError(), OSError("away")), 0),
    ],
)
def test_a_retry_whose_state_cannot_be_stored_is_no_dead_letter(kept, error, number):
    kept({"celery": ("celery.dead", 0, False)})
    app = Celery("worker", broker="memory://", set_as_current=False)

    @app.task(name="fail", shared=False)
    def task():
        pass

    info = {"exchange": "", "routing_key": "celery"}
    request = {"id": "1", "delivery_info": info, "properties": {}, "args": [], "kwargs": {}}
    dead_letters._not_stored(sender=task, task_id="1", exception=error, request=request)
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        assert channel._size("celery.dead") == number
        channel._purge("celery.dead")


WORKLOAD = "".join(
    (
        'broker: {transport: redis, url: "${CELERY_BROKER_URL}"}\n',
        "queues: {" + ", ".join(f"{pool}: {{dead_letter: true, priorities: 3}}" for pool in POOLS) + "}\n",
        "tasks: {shop.fail: {queue: prefork, options: {compression: gzip}}, shop.next: {queue: prefork}}\n",
    )
)


def read(raw: bytes) -> tuple[object, dict[str, object], dict[str, object]]:
    """The body, the headers and the properties of a message on Redis."""
    message = json.loads(raw)
    headers = message["headers"]
    body = b64decode(message["body"])
    if form := headers.get("compression"):
        body = decompress(body, form)
    return json.loads(body), headers, message["properties"]


@pytest.mark.server
def test_a_letter_is_the_message_itself_in_every_pool(tmp_path):
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client, ExitStack() as workers:
        (tmp_path / "workload.yaml").write_text(workload(WORKLOAD))
        (tmp_path / "policy.yaml").write_text(
            f"version: 1\nparameters: {{dead-letters: {{most_messages: {MOST}}}}}\n"
        )
        compilation = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml")
        write_configuration(compilation.files, tmp_path)
        (tmp_path / "shop_app.py").write_text(APP)
        app = configured_app(tmp_path, {"CELERY_BROKER_URL": url})
        link = app.signature("shop.next", queue="nobody")
        sent = {}
        for pool in POOLS:
            whole = {"link": link, "link_error": link, "chain": [link], "headers": {"mine": "own"}}
            app.send_task("shop.fail", ("ü", {"a": [1]}), {"b": None}, queue=pool, priority=9, **whole)
            (key,) = client.keys(f"{pool}*")
            (sent[pool],) = client.lrange(key, 0, -1)
            # Delivered again, as after a worker that was killed.
            again = json.loads(sent[pool])
            again["properties"]["delivery_info"]["redelivered"] = True
            client.lpush(key, json.dumps(again))
        for pool in POOLS:
            celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--queues", pool)
            words = ("--pool", pool, "--concurrency", "1", "--hostname", f"{pool}@%h")
            environment = {"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url}
            quiet = ("--without-gossip", "--without-mingle")
            workers.enter_context(
                running(
                    (*celery, *words, *quiet),
                    log=tmp_path / f"{pool}.log",
                    folder=tmp_path,
                    stop_seconds=0,
                    environment=environment,
                )
            )
        for pool in POOLS:
            wait_until(lambda pool=pool: client.llen(f"{pool}.dead") > 0, f"{pool} has left one", seconds=60)
            log = tmp_path / f"{pool}.log"
            wait_until(lambda log=log: log.read_text().count("swordfish") >= 4, f"{pool} has run both")
            letters = client.lrange(f"{pool}.dead", 0, -1)
            body, headers, _ = read(letters[0])
            told = headers.pop(HEADER)
            was, old_headers, properties = read(sent[pool])
            assert (pool, len(letters), body, headers) == (pool, 1, was, old_headers)
            assert (told["queue"], told["reason"], told["exception"]) == (pool, "failed", "ConnectionError")
            assert (told["place"], told["priority"]) == ("shop_app.py:5", str(properties["priority"]))
            assert "swordfish" not in letters[0].decode()
            for number in range(MOST + 1):
                app.send_task("shop.fail", queue=pool, task_id=f"{number}")
        for pool in POOLS:
            newest = [str(number) for number in reversed(range(1, MOST + 1))]

            def ids(pool=pool) -> list[object]:
                return [read(raw)[1]["id"] for raw in client.lrange(f"{pool}.dead", 0, -1)]

            wait_until(lambda: ids() == newest, f"{pool} has dropped the oldest")  # noqa: B023
