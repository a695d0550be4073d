"""What the commands of a rollout print, and how they end.

On it rests how `policycompiler diff` asks a broker what is left, and how it deletes queues.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from amqp import Channel, Message
from kombu import Connection, Exchange, Queue
from processes import wait_until
from rollout.brokers import RabbitBroker, a_broker
from servers import redis_server
from tools import needs

pytestmark = pytest.mark.server

NEVER_MILLISECONDS = 600_000
NO_STATISTICS = f"[{{rabbit, [{{collect_statistics_interval, {NEVER_MILLISECONDS}}}]}}].\n"
"""What brings the counts of a quorum queue up to date is something else."""

PASSWORD, ENCODED = "p@ss/w:rd%", "p%40ss%2Fw%3Ard%25"


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[RabbitBroker]:
    folder = tmp_path_factory.mktemp("counting")
    (folder / "advanced.config").write_text(NO_STATISTICS)
    with a_broker("rabbitmq", folder) as started:
        yield started


@pytest.fixture
def channel(broker) -> Iterator[Channel]:
    with Connection(broker.url) as connection, connection.channel() as opened:
        yield opened


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Iterator[str]:
    """A Redis with a password, as `HOST:PORT/DATABASE`."""
    with redis_server(tmp_path_factory.mktemp("locked")) as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", PASSWORD)
        yield url.removeprefix("redis://")


@pytest.mark.parametrize(("held_by", "refusal"), [("a message", "not empty"), ("a consumer", "in use")])
def test_celery_ends_well_although_rabbitmq_refuses_to_delete_a_queue(
    on_rabbitmq, rabbitmq_url, queue_name, held_by, refusal
):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        Queue(queue_name, Exchange(queue_name), queue_name)(channel).declare()
        if held_by == "a message":
            channel.basic_publish_confirm(Message("kept"), routing_key=queue_name)
        else:
            channel.basic_consume(queue_name)
        ended = on_rabbitmq().command("amqp", "queue.delete", queue_name, "yes", "yes")
        assert (ended.returncode, "OK" in ended.stdout) == (0, False)
        assert f"ERROR: Queue.delete: (406) PRECONDITION_FAILED - queue '{queue_name}'" in ended.stderr
        assert ended.stderr.endswith(f"{refusal}\n")
        assert channel.queue_declare(queue_name, passive=True).queue == queue_name


def test_celery_ends_well_although_rabbitmq_refuses_to_delete_an_exchange(
    on_rabbitmq, rabbitmq_url, queue_name
):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        Queue(queue_name, Exchange(queue_name), queue_name)(channel).declare()
        ended = on_rabbitmq().command("amqp", "exchange.delete", queue_name, "yes")
        assert (ended.returncode, "OK" in ended.stdout) == (0, False)
        assert f"ERROR: Exchange.delete: (406) PRECONDITION_FAILED - exchange '{queue_name}'" in ended.stderr
        assert ended.stderr.endswith("in use\n")
        channel.exchange_declare(queue_name, "direct", passive=True)


def test_celery_deletes_a_queue_and_an_exchange_that_nothing_uses(on_rabbitmq, rabbitmq_url, queue_name):
    lab = on_rabbitmq()
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        Queue(queue_name, Exchange(queue_name), queue_name)(channel).declare()
    for words in (("queue.delete", queue_name, "yes", "yes"), ("exchange.delete", queue_name, "yes")):
        ended = lab.command("amqp", *words)
        assert (ended.returncode, ended.stdout.endswith("OK\n"), ended.stderr) == (0, True, "")
    for declare in (Queue(queue_name).queue_declare, Exchange(queue_name).declare):
        with Connection(rabbitmq_url) as connection, pytest.raises(connection.channel_errors, match="404"):
            declare(channel=connection.channel(), passive=True)


def test_rabbitmqctl_ends_well_and_lists_nothing_of_a_virtual_host_that_does_not_exist(
    broker, channel, queue_name
):
    declare(channel, queue_name, "classic")
    listing = ("list_queues", "--quiet", "--no-table-headers", "name", "messages", "consumers")
    assert f"{queue_name}\t0\t0" in broker.control("-p", "/", *listing).splitlines()
    assert broker.control("-p", "nowhere", *listing) == ""


def test_rabbitmqctl_asks_a_classic_queue_itself(broker, channel, queue_name):
    with ticks(broker, NEVER_MILLISECONDS):
        declare(channel, queue_name, "classic")
        hold_one_of_two(channel, queue_name)
        assert counts(broker, queue_name) == {"messages": 2, "messages_ready": 1, "consumers": 1}


def test_rabbitmqctl_shows_of_a_quorum_queue_what_it_was_at_its_last_tick(broker, channel, queue_name):
    """The queue itself answers a client with what it is now."""
    with ticks(broker, NEVER_MILLISECONDS):
        declare(channel, queue_name, "quorum")
        hold_one_of_two(channel, queue_name)
        assert counts(broker, queue_name) == {"messages": 0, "messages_ready": 0, "consumers": 0}


def test_a_tick_of_a_quorum_queue_brings_its_counts_up_to_date(broker, channel, queue_name):
    now = {"messages": 2, "messages_ready": 1, "consumers": 1}
    with ticks(broker, 100):
        declare(channel, queue_name, "quorum")
        hold_one_of_two(channel, queue_name)
        wait_until(lambda: counts(broker, queue_name) == now, "the counts are those of now")


def test_a_quorum_queue_ticks_every_5_s_unless_said(broker, channel, queue_name):
    declare(channel, queue_name, "quorum")
    tick = f"element(6, element(2, element(2, sys:get_state('%2F_{queue_name}'))))."
    assert broker.control("eval", tick).strip() == "5000"


def test_redis_cli_refuses_a_password_without_a_user_and_ends_well(locked):
    refused = redis_cli(f"redis://:{ENCODED}@{locked}")
    assert (refused.returncode, refused.stdout.strip()) == (0, "NOAUTH Authentication required.")
    assert "AUTH failed: WRONGPASS" in refused.stderr
    assert redis_cli(f"redis://default:{ENCODED}@{locked}").stdout == "PONG\n"


@pytest.mark.parametrize("user", ["", "default"])
def test_the_client_of_redis_takes_an_address_with_a_password_as_celery_does(locked, queue_name, user):
    url = f"redis://{user}:{ENCODED}@{locked}"
    with Connection(url) as connection:
        connection.Producer().publish("kept", routing_key=queue_name)
    with redis.Redis.from_url(url) as client:
        assert client.eval('return redis.call("LLEN", KEYS[1])', 1, queue_name) == 1


def redis_cli(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [needs("redis-cli"), "-u", url, "ping"], capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def ticks(broker: RabbitBroker, milliseconds: int) -> Iterator[None]:
    """Quorum queues that are declared meanwhile tick so often."""
    broker.control("eval", f"application:set_env(rabbit, quorum_tick_interval, {milliseconds}).")
    try:
        yield
    finally:
        broker.control("eval", "application:unset_env(rabbit, quorum_tick_interval).")


def declare(channel: Channel, name: str, kind: str) -> None:
    channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-queue-type": kind})


def hold_one_of_two(channel: Channel, name: str) -> None:
    """Two messages that the broker has, of which a consumer holds one; a passive declaration sees that."""
    for _ in range(2):
        channel.basic_publish_confirm(Message("kept"), routing_key=name)
    channel.basic_qos(0, 1, a_global=False)
    channel.basic_consume(name, callback=lambda _: None)
    found = channel.queue_declare(name, passive=True)
    assert (found.message_count, found.consumer_count) == (1, 1)


def counts(broker: RabbitBroker, name: str) -> dict[str, int]:
    """What `rabbitmqctl` lists of a queue."""
    columns = ("messages", "messages_ready", "consumers")
    rows = broker.control("list_queues", "--quiet", "--no-table-headers", "name", *columns).splitlines()
    (found,) = (row.split("\t")[1:] for row in rows if row.startswith(f"{name}\t"))
    return dict(zip(columns, map(int, found), strict=True))
