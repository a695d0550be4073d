"""A real deployment on RabbitMQ, looked at as planned, and broken; with and without the management API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from kombu import Connection
from live_demo import Demo
from processes import wait_until
from servers import Server, start_rabbitmq

pytestmark = pytest.mark.server

LARGE_DISK = "9000GB"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with start_rabbitmq(tmp_path_factory.mktemp("rabbitmq"), "rabbitmq_management") as found:
        yield found


@pytest.fixture(scope="module")
def demo(server, tmp_path_factory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"), "rabbitmq", server.url)


@pytest.fixture(scope="class")
def healthy(demo) -> Iterator[Demo]:
    with ExitStack() as stack:
        for script in ("main", "other", "beat"):
            stack.enter_context(demo.started(script))
        yield demo


def told(server: Server) -> bool:
    """Whether the management API, which counts every few seconds, knows of the message and of the alarm."""

    def get(path: str) -> list[dict]:
        address = server.management.replace("guest:guest@", "")
        request = Request(f"{address}/api/{path}", headers={"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    counts = {queue["name"]: queue.get("messages_ready") for queue in get("queues")}
    return counts.get("elsewhere") == 1 and get("nodes")[0]["disk_free_alarm"]


def stored(server: Server) -> list[str]:
    """All that the broker stores: queues, exchanges, bindings."""
    kinds = (
        ("list_queues", "name", "arguments", "messages", "consumers"),
        ("list_exchanges", "name", "type"),
        ("list_bindings",),
    )
    return sorted(line for words in kinds for line in server.ctl(*words).splitlines())


class TestAsPlanned:
    def test_a_deployment_as_planned_has_no_findings_and_a_look_changes_nothing(self, healthy, server):
        before = stored(server)
        found = healthy.found()
        assert stored(server) == before
        assert found == {}

    def test_the_management_api_adds_what_a_client_cannot_see(self, healthy, server):
        with Connection(server.url) as connection, connection.channel() as channel:
            channel.queue_declare("elsewhere", durable=True, auto_delete=False)
            channel.queue_bind("elsewhere", "main", "main")
            Celery("sender", broker=server.url, set_as_current=False).send_task(
                "demo.other", queue="elsewhere"
            )
            limit = server.ctl("eval", "rabbit_disk_monitor:get_disk_free_limit().").strip()
            server.ctl("set_disk_free_limit", LARGE_DISK)
            try:
                wait_until(lambda: told(server), "the API counts the message and shows the alarm", seconds=60)
                seen = healthy.found(management=server.management)
            finally:
                server.ctl("set_disk_free_limit", limit)
                channel.queue_delete("elsewhere")
        assert seen["messages-stray"] == [
            "queue `elsewhere` holds 1 message, but the plan does not have it and no worker consumes it"
        ]
        assert seen["broker-blocks-publishers"][0].startswith(
            "the broker blocks all publishers: it has too little disk"
        )
        assert "`elsewhere`" in seen["binding-unplanned"][0]
        # A question to the workers is a message too.
        assert seen.pop("look-incomplete")[0].startswith("the workers cannot be asked: ")
        assert seen.keys() == {"messages-stray", "broker-blocks-publishers", "binding-unplanned"}

    def test_a_wrong_management_api_is_a_part_that_cannot_be_read(self, healthy, server):
        wrong = server.management.replace("guest:guest", "guest:wrong-secret")
        found = healthy.found(management=wrong)
        assert found.keys() == {"look-incomplete"}
        assert "answers 401" in found["look-incomplete"][0]
        assert "secret" not in str(found)


def test_queues_that_differ_are_missing_or_have_no_consumer(demo, server):
    with Connection(server.url) as connection, connection.channel() as channel:
        for name in ("main", "other"):
            channel.queue_delete(name)
        channel.queue_declare("main", durable=True, auto_delete=False, arguments={"x-max-priority": 7})
        with (
            demo.started("main", "--queues", "elsewhere"),
            demo.started("beat"),
            # On RabbitMQ, the second beat of a host cannot have the name of the first.
            demo.started("beat", ready="Starting..."),
        ):
            before = stored(server)
            shown = demo.look()
            assert stored(server) == before
        found = demo.found(live=shown)
        channel.queue_delete("main")
    assert list(shown.workers.beats.values()) == [1]
    (differs,) = found["queue-declared-differently"]
    assert "`main`" in differs
    assert "inequivalent arg 'x-max-priority'" in differs
    assert found["queue-missing"] == ["queue `other` does not exist on the broker"]
    assert found["queue-unserved"] == ["no worker consumes queue `main`"]
    assert found["worker-missing"] == ["no process of worker `other` answers; it consumes `other`"]


def test_a_look_at_an_empty_broker_creates_nothing(demo, server):
    server.ctl("add_vhost", "empty")
    server.ctl("set_permissions", "-p", "empty", "guest", ".*", ".*", ".*")
    url = server.url.removesuffix("/") + "empty"
    listed = server.ctl("list_exchanges", "-p", "empty")
    found = demo.found(url=url)
    assert server.ctl("list_exchanges", "-p", "empty") == listed
    assert server.ctl("list_queues", "-p", "empty") == ""
    assert found.keys() == {"workers-silent", "queue-missing", "beat-missing"}


def test_a_broker_that_refuses(demo, server):
    wrong = demo.found(url=server.url.replace("guest:guest", "guest:wrong-secret"))
    nowhere = demo.found(url=server.url.removesuffix("/") + "nowhere")
    assert [list(wrong), list(nowhere)] == [["broker-refused"], ["broker-refused"]]
    assert "secret" not in str(wrong)
