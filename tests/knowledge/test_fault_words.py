"""What a fault looks like: the words in logs and errors that a runbook names, and whom a full broker blocks."""

from __future__ import annotations

import importlib
import inspect
import threading
from pathlib import Path

import pytest
from celery.exceptions import OperationalError
from kombu import Connection
from processes import wait_until
from servers import start_rabbitmq

from policycompiler.emitters.runbook.on_hosts import SEARCHED
from policycompiler.knowledge.brokers import BROKERS
from policycompiler.knowledge.runbook import Deed

LOGGED = {
    Deed.SENDS: ("celery.beat",),
    Deed.FAILURES: ("celery.app.trace", "celery.worker.request", "celery.exceptions", "billiard.exceptions"),
}


@pytest.mark.parametrize("deed", SEARCHED)
def test_what_a_runbook_searches_in_a_log_is_written_there(deed):
    source = "".join(inspect.getsource(importlib.import_module(name)) for name in LOGGED[deed])
    assert [word for word in SEARCHED[deed].split("|") if word not in source] == []


@pytest.mark.server
def test_a_worker_logs_that_it_no_longer_consumes_a_queue(on_redis, queue_name):
    lab = on_redis(task_default_queue=queue_name)
    lab.worker("--loglevel", "INFO")
    lab.app.control.cancel_consumer(queue_name)
    wait_until(lambda: f"Canceling queue {queue_name}" in lab.logs(), "the cancellation")


@pytest.mark.server
def test_a_full_redis_refuses_a_send_and_says_so(on_redis, database):
    assert BROKERS["redis"].evicts
    lab = on_redis()
    database.config_set("maxmemory", 1)
    try:
        with pytest.raises(OperationalError, match="command not allowed when used memory"):
            lab.send("quick", retry=False)
    finally:
        database.config_set("maxmemory", 0)


def _put(url: str, name: str) -> None:
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        connection.SimpleQueue(name).put({})


@pytest.mark.server
def test_a_rabbitmq_with_an_alarm_blocks_a_send_until_the_alarm_ends(tmp_path: Path):
    with start_rabbitmq(tmp_path) as server, Connection(server.url) as connection:
        queue = connection.SimpleQueue("filled")
        server.ctl("set_vm_memory_high_watermark", "absolute", "1MiB")
        send = threading.Thread(target=_put, args=(server.url, "filled"), daemon=True)
        send.start()
        wait_until(
            lambda: "blocked" in server.ctl("list_connections", "state").split(), "a blocked connection"
        )
        assert BROKERS["rabbitmq"].blocks == send.is_alive()
        server.ctl("set_vm_memory_high_watermark", "0.6")
        send.join(60)
        assert not send.is_alive()
        assert queue.get(timeout=30).payload == {}
