"""Held messages of RabbitMQ, counted by its management API where no `rabbitmqctl` runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rollout.asked import asked
from rollout.brokers import RabbitBroker, a_broker
from servers import HOST, free_port

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def managed(tmp_path_factory) -> Iterator[tuple[RabbitBroker, str]]:
    """A RabbitMQ with its management API, and the URL of that."""
    folder, port = tmp_path_factory.mktemp("managed"), free_port()
    listener = f'[{{rabbitmq_management, [{{listener, [{{port, {port}}}, {{ip, "{HOST}"}}]}}]}}].\n'
    (folder / "advanced.config").write_text(listener)
    (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
    with a_broker("rabbitmq", folder) as broker:
        yield broker, f"http://{HOST}:{port}"


def test_the_management_api_counts_what_is_held(managed, tmp_path):
    broker, url = managed
    shop = asked(broker, tmp_path)
    bare = {"PATH": str(tmp_path)}
    with shop.queue() as queue:
        queue.put("kept")
        message = queue.get(timeout=5)
        done = shop.wait("drained", "mail", "--management", url, **bare)
        assert (done.returncode, "`mail` has 1 held by workers" in done.stderr) == (1, True), done
        message.ack()
        # The server counts every 5 s.
        done = shop.command("wait", "drained", "mail", "--management", url, "--timeout", "30s", **bare)
        way = "no message is left in `mail` (held messages counted by the management API)\n"
        assert (done.returncode, done.stdout) == (0, way), done


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace("//", "//guest:hunter2@"), "401 Unauthorized"),
        (lambda _: f"http://guest:hunter2@{HOST}:1", "does not answer at http://127.0.0.1:1/api/queues/"),
        (lambda _: "ftp://guest:hunter2@h", "--management is not a URL such as http://localhost:15672"),
        (lambda _: "http://guest:hunter2@[", "--management is not a URL such as http://localhost:15672"),
    ],
    ids=["wrong password", "down", "another scheme", "no URL"],
)
def test_a_management_api_that_cannot_be_asked_is_told_without_its_password(managed, tmp_path, change, told):
    broker, url = managed
    shop = asked(broker, tmp_path)
    with shop.queue():
        done = shop.wait("drained", "mail", "--management", change(url))
    assert (done.returncode, told in done.stderr) == (1, True), done
    assert not any(word in done.stderr for word in ("hunter2", "Traceback"))
