"""What brokers keep of queues after the processes that declared them: bindings, types, limits.

On it rests what a review says of queues that change their exchange, their binding or their arguments.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from amqp.exceptions import NotFound, PreconditionFailed
from celery.exceptions import OperationalError, Reject
from knowledge.lab import Lab, OpenLab
from kombu import Connection, Exchange, Queue
from processes import stop, wait_until

pytestmark = pytest.mark.server

EVERY_SECOND = {"task": "quick", "schedule": 1}
QUORUM = {"x-queue-type": "quorum"}


def topic(name: str, exchange: str, key: str, **arguments: object) -> Queue:
    return Queue(name, Exchange(exchange, type="topic"), routing_key=key, queue_arguments=arguments)


def plain(name: str, **arguments: object) -> Queue:
    return Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=arguments)


def settings(*declared: Queue) -> dict[str, object]:
    return {"task_queues": declared, "task_create_missing_queues": False}


def depth(url: str, name: str) -> int:
    """Messages that no worker has taken; none where there is no queue, or on Redis no list."""
    with Connection(url) as connection, connection.channel() as channel:
        try:
            return channel.queue_declare(name, passive=True).message_count
        except connection.channel_errors:
            return 0


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request) -> tuple[OpenLab, str]:
    """How to open a lab, and the address."""
    return request.getfixturevalue(f"on_{request.param}"), request.getfixturevalue(f"{request.param}_url")


def declare(url: str, *queues: Queue) -> None:
    """As a deployment of which no process is left."""
    with Connection(url) as connection, connection.channel() as channel:
        for queue in queues:
            queue(channel).declare()


def sent_to(lab: Lab, queue: str) -> None:
    lab.send("quick", queue=queue, retry=False)


@pytest.mark.parametrize(
    ("old_key", "new_key", "copies"), [("k", "k", 1), ("shop.#", "shop.pay", 1), ("shop.mail", "shop.pay", 0)]
)
def test_what_an_old_binding_to_a_topic_exchange_matches_comes_to_the_old_queue_too(
    broker, queue_name, old_key, new_key, copies
):
    open_lab, url = broker
    old, new = f"{queue_name}-old", f"{queue_name}-new"
    declare(url, topic(old, queue_name, old_key))
    lab = open_lab(**settings(topic(new, queue_name, new_key)))
    sent_to(lab, new)
    wait_until(lambda: depth(url, new) == 1, "it has come")
    assert depth(url, old) == copies


def test_behind_a_direct_exchange_it_comes_to_its_own_queue_alone(broker, queue_name):
    """Celery sends it past the exchange."""
    open_lab, url = broker
    old, new = (Queue(f"{queue_name}-{end}", Exchange(queue_name), "k") for end in ("old", "new"))
    declare(url, old)
    sent_to(open_lab(**settings(new)), new.name)
    wait_until(lambda: depth(url, new.name) == 1, "it has come")
    assert depth(url, old.name) == 0


def test_on_redis_what_bound_a_direct_exchange_matches_each_key_of_a_topic(on_redis, redis_url, queue_name):
    old, new = f"{queue_name}-old", f"{queue_name}-new"
    declare(redis_url, Queue(old, Exchange(queue_name), "k"))
    sent_to(on_redis(**settings(topic(new, queue_name, "other"))), new)
    assert (depth(redis_url, old), depth(redis_url, new)) == (1, 1)


def test_on_redis_a_binding_ends_when_it_is_taken_out_of_its_set(on_redis, redis_url, database, queue_name):
    old, new = f"{queue_name}-old", f"{queue_name}-new"
    declare(redis_url, topic(old, queue_name, "k"))
    lab = on_redis(**settings(topic(new, queue_name, "k")))
    (member,) = database.smembers(f"_kombu.binding.{queue_name}")
    sent_to(lab, new)
    database.srem(f"_kombu.binding.{queue_name}", member)
    sent_to(lab, new)
    assert (depth(redis_url, old), depth(redis_url, new)) == (1, 2)


def test_on_rabbitmq_a_binding_ends_when_it_is_deleted(on_rabbitmq, rabbitmq_url, queue_name):
    old, new = f"{queue_name}-old", f"{queue_name}-new"
    declare(rabbitmq_url, topic(old, queue_name, "k"))
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_unbind(old, queue_name, "k")
    sent_to(on_rabbitmq(**settings(topic(new, queue_name, "k"))), new)
    wait_until(lambda: depth(rabbitmq_url, new) == 1, "it has come")
    assert depth(rabbitmq_url, old) == 0


@pytest.mark.parametrize("apps", [1, 2])
@pytest.mark.parametrize(("kind", "key"), [("topic", "{}"), ("topic", "*.shop.{}"), ("fanout", "{}")])
def test_what_rabbitmq_delays_comes_to_each_queue_whose_key_ends_that_of_the_message(
    on_rabbitmq, rabbitmq_url, queue_name, apps, kind, key
):
    """Whether one app has both queues, or an earlier one had the other; `*` may be a bit of the delay."""
    other, sent = f"{queue_name}-other", f"shop.{queue_name}"
    old = Queue(other, Exchange(other, type=kind), routing_key=key.format(queue_name), queue_arguments=QUORUM)
    new = topic(sent, sent, sent, **QUORUM)
    if apps == 1:
        declare(rabbitmq_url, old)
        lab = on_rabbitmq(**settings(old, new))
    else:
        stop(on_rabbitmq(**settings(old)).worker("--queues", other))
        lab = on_rabbitmq(**settings(new))
    lab.worker("--queues", sent)
    lab.send("quick", queue=sent)
    lab.wait_for("end", "quick")
    assert depth(rabbitmq_url, other) == 0
    lab.send("quick", queue=sent, countdown=1)
    lab.wait_for("end", "quick", times=2)
    wait_until(lambda: depth(rabbitmq_url, other) == 1, "the delayed one has come there too")


def test_beside_a_quorum_queue_what_is_not_delayed_does_so_on_an_exchange_of_both(
    on_rabbitmq, rabbitmq_url, queue_name
):
    other, sent = f"{queue_name}-other", f"shop.{queue_name}"
    queues = [topic(name, queue_name, key, **QUORUM) for name, key in ((other, queue_name), (sent, sent))]
    declare(rabbitmq_url, *queues)
    lab = on_rabbitmq(**settings(*queues))
    sent_to(lab, sent)
    wait_until(lambda: depth(rabbitmq_url, sent) == 1, "it has come")
    assert depth(rabbitmq_url, other) == 0
    lab.worker("--queues", sent)
    lab.wait_for("end", "quick")
    sent_to(lab, sent)
    wait_until(lambda: depth(rabbitmq_url, other) == 1, "it has come there too")


@pytest.mark.parametrize("key", ["x{}", "{}.shop"])
def test_what_rabbitmq_delays_does_not_come_by_letters_or_by_first_words(
    on_rabbitmq, rabbitmq_url, queue_name, key
):
    sent = key.format(queue_name)
    queues = [topic(name, name, name, **QUORUM) for name in (queue_name, sent)]
    declare(rabbitmq_url, *queues)
    lab = on_rabbitmq(**settings(*queues))
    lab.worker("--queues", sent)
    lab.send("quick", queue=sent, countdown=1)
    lab.wait_for("end", "quick")
    assert depth(rabbitmq_url, queue_name) == 0


@pytest.mark.parametrize("changed", ["arguments", "exchange"])
def test_rabbitmq_refuses_a_sender_whose_declaration_is_another_one(
    on_rabbitmq, rabbitmq_url, queue_name, changed
):
    """Also where nobody consumes, and where the exchange was made for another queue."""
    if changed == "arguments":
        old, new = plain(queue_name), plain(queue_name, **{"x-max-priority": 9})
    else:
        old, new = plain(queue_name), topic(f"{queue_name}-other", queue_name, "k")
    declare(rabbitmq_url, old)
    lab = on_rabbitmq(**settings(new))
    with pytest.raises(PreconditionFailed):
        sent_to(lab, new.name)


@pytest.mark.parametrize("limit", [{"x-max-length": 1}, {"x-max-length-bytes": 100}])
def test_a_full_queue_of_rabbitmq_drops_its_oldest_although_publishes_are_confirmed(
    on_rabbitmq, rabbitmq_url, queue_name, limit
):
    lab = on_rabbitmq(
        **settings(plain(queue_name, **limit)), broker_transport_options={"confirm_publish": True}
    )
    for _ in range(5):
        sent_to(lab, queue_name)
    assert depth(rabbitmq_url, queue_name) == 1


def test_what_waits_too_long_in_rabbitmq_is_dropped(on_rabbitmq, rabbitmq_url, queue_name):
    sent_to(on_rabbitmq(**settings(plain(queue_name, **{"x-message-ttl": 3000}))), queue_name)
    assert depth(rabbitmq_url, queue_name) == 1
    wait_until(lambda: depth(rabbitmq_url, queue_name) == 0, "it is dropped")


def test_an_expiring_queue_of_rabbitmq_without_a_worker_is_gone_with_what_is_in_it(
    on_rabbitmq, rabbitmq_url, queue_name
):
    sent_to(on_rabbitmq(**settings(plain(queue_name, **{"x-expires": 500}))), queue_name)

    def is_gone() -> bool:
        # To look how many there are would be to use it.
        with Connection(rabbitmq_url) as connection, connection.channel() as channel:
            try:
                channel.queue_bind(queue_name, "amq.direct", "k")
            except NotFound:
                return True
        return False

    wait_until(is_gone, "the queue is gone")


def test_what_waits_in_an_expiring_queue_of_redis_is_dropped(on_redis, database, queue_name):
    lab = on_redis(**settings(plain(queue_name, **{"x-expires": 500})))
    sent_to(lab, queue_name)
    assert 0 < database.pttl(queue_name) <= 500


@pytest.mark.parametrize("reason", ["maxlen", "expired"])
def test_what_a_limit_drops_goes_to_the_dead_letters_where_there_are_some(
    on_rabbitmq, rabbitmq_url, queue_name, reason
):
    dead = f"{queue_name}-dead"
    limit = {"x-max-length": 1} if reason == "maxlen" else {"x-message-ttl": 100}
    to_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    declare(rabbitmq_url, plain(dead))
    lab = on_rabbitmq(**settings(plain(queue_name, **limit, **to_dead)))
    for _ in range(2):
        sent_to(lab, queue_name)
    wait_until(lambda: depth(rabbitmq_url, dead) >= 1, "it is there")


def test_a_retry_that_a_full_queue_refuses_is_lost(on_rabbitmq, queue_name):
    """The message that asks for it is rejected, and does not go back to the queue."""
    lab = on_rabbitmq(
        **settings(plain(queue_name, **{"x-max-length": 1, "x-overflow": "reject-publish"})),
        broker_transport_options={"confirm_publish": True},
        task_publish_retry=False,
    )
    sent_to(lab, queue_name)
    task = lab.app.tasks["again"]
    delivered = {"exchange": "", "routing_key": queue_name}
    task.push_request(id="first", called_directly=False, delivery_info=delivered)
    with pytest.raises(Reject) as rejected:
        task.run()
    assert isinstance(rejected.value.reason, OperationalError)
    assert not rejected.value.requeue


def test_a_firing_of_beat_that_a_full_queue_refuses_is_not_sent_again(on_rabbitmq, rabbitmq_url, queue_name):
    full = plain(queue_name, **{"x-max-length": 1, "x-overflow": "reject-publish"})
    lab = on_rabbitmq(
        **settings(full),
        task_default_queue=queue_name,
        broker_transport_options={"confirm_publish": True},
        task_publish_retry=False,
        beat_schedule={"often": EVERY_SECOND | {"options": {"queue": queue_name}}},
    )
    lab.beat()
    wait_until(lambda: lab.logs().count("Message Error") >= 2, "firings are refused")
    assert depth(rabbitmq_url, queue_name) == 1


_DECLARE = """
import sys
from kombu import Connection, Exchange, Queue
folders = dict.fromkeys(("data_folder_in", "data_folder_out"), sys.argv[1])
with Connection("filesystem://", transport_options={**folders, "control_folder": sys.argv[1]}) as connection:
    channel = connection.channel()
    exchange = Exchange("shared", type="topic", channel=channel)
    exchange.declare()
    for key in sys.argv[2:]:
        Queue(key, exchange, routing_key=key, channel=channel).declare()
    print(sorted(queue for _, _, queue in channel.get_table("shared")))
"""


def test_on_the_file_system_a_binding_outlives_the_process_that_made_it(tmp_path):
    def bound(*keys: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _DECLARE, str(tmp_path), *keys], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert bound("mail") == "['mail']"
    assert bound() == "['mail']"
    assert (tmp_path / "shared.exchange").is_file()
