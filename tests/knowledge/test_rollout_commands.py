"""What tools of brokers and clients print, and how they end.

On it rests how `policycompiler wait` asks a broker what is left, and how `policycompiler act` deletes queues.
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


def test_a_classic_queue_whose_messages_are_all_held_is_empty_to_who_deletes_it(rabbitmq_url, queue_name):
    with Connection(rabbitmq_url) as connection, connection.channel() as channel:
        queue = Queue(queue_name, Exchange(queue_name), queue_name)(channel)
        queue.declare()
        channel.basic_publish_confirm(Message("kept"), routing_key=queue_name, exchange=queue_name)
        assert queue.get() is not None
        channel.queue_delete(queue_name, if_unused=True, if_empty=True)
        with Connection(rabbitmq_url) as other, pytest.raises(other.channel_errors, match="404"):
            other.channel().queue_declare(queue_name, passive=True)


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads", "gevent"])
def test_a_worker_answers_stats_with_what_a_step_of_its_own_adds(on_redis, pool):
    """Without a word in the log of a worker that has no such step."""
    lab = on_redis()
    lab.worker(pool=pool, environment={"SHOWN": "a plan"})
    lab.worker(pool=pool)
    answers = lab.app.control.inspect(timeout=10, limit=2).stats().values()
    assert sorted(str(answer.get("shown")) for answer in answers) == ["None", "a plan"]
    assert "ERROR" not in lab.logs()


def test_a_client_is_listed_by_the_name_that_it_gives_its_connection(broker):
    name = "somebody in particular"
    options = {"client_properties": {"connection_name": name}}
    with Connection(broker.url, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1)
        assert name in broker.control("list_connections", "--quiet", "client_properties")


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
