"""Options of a transport that move messages, or what a worker held, out of sight of the other fleet."""

from __future__ import annotations

import pytest
from kombu import Connection
from kombu.transport import redis
from review_of import at, reviewed

from policycompiler.review import Class

OPTIONS = "app/broker_transport_options"
URL = "https://sqs.eu-west-1.amazonaws.com/1/"


def on(transport: str, options: str) -> str:
    broker = f"{{transport: {transport}, url: '${{B}}', options: {{{options}}}}}"
    return f"broker: {broker}\ntasks: {{a: {{queue: q}}}}"


def addresses(**urls: str) -> str:
    listed = ", ".join(f"{name}: {{url: '{URL}{url}'}}" for name, url in urls.items())
    return f"predefined_queues: {{{listed}}}"


BASE = addresses(q="q", **{"shop.standard.io": "d"})
MOVED = {
    "redis prefix": ("redis", "", "global_keyprefix: x"),
    "redis separator": ("redis", "", "sep: x"),
    "redis master": ("redis", "master_name: one", "master_name: two"),
    "rabbitmq virtual host": ("rabbitmq", "", "virtual_host: x"),
    "rabbitmq host": ("rabbitmq", "host: one", "host: two"),
    "sqs prefix": ("sqs", "", "queue_name_prefix: x-"),
    "sqs region": ("sqs", "region: eu-west-1", "region: eu-west-2"),
    "sqs addresses": ("sqs", BASE, BASE.replace("/q'", "/other'")),
    "sqs addresses for the first time": ("sqs", "", BASE),
    "sqs addresses no more": ("sqs", BASE, ""),
    "filesystem in": ("filesystem", "", "data_folder_in: x"),
    "filesystem out": ("filesystem", "data_folder_out: x", "data_folder_out: y"),
}


@pytest.mark.parametrize("case", MOVED)
def test_on_another_place_two_fleets_run(case):
    transport, old, new = MOVED[case]
    found = reviewed(on(transport, old), on(transport, new))
    assert at(found, OPTIONS).risk is Class.MANUAL
    assert "cannot see each other's messages" in at(found, OPTIONS).because
    assert "until no message is left under the old broker options" in " ".join(
        step.action for step in found.steps
    )


STAYS = {
    "redis prefix spelt out": ("redis", "", "global_keyprefix: ''"),
    "filesystem in spelt out": ("filesystem", "", "data_folder_in: data_in"),
    "redis held spelt out": ("redis", "", "unacked_key: unacked, unacked_index_key: unacked_index"),
    "redis mutex": ("redis", "", "unacked_mutex_key: x"),
    "sqs one queue more": ("sqs", BASE, BASE.replace("{q:", f"{{p: {{url: '{URL}p'}}, q:")),
    "sqs keys": ("sqs", BASE, BASE.replace("/q'", "/q', access_key_id: '${K}'")),
    "sqs poll": ("sqs", "", "polling_interval: 3"),
    "filesystem processed": ("filesystem", "", "store_processed: true, processed_folder: x"),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_stays_where_it_is_is_safe(case):
    transport, old, new = STAYS[case]
    assert at(reviewed(on(transport, old), on(transport, new)), OPTIONS).risk is Class.SAFE


@pytest.mark.parametrize("option", ["unacked_key", "unacked_index_key"])
def test_what_a_killed_worker_held_is_looked_for_by_hand(option):
    change = at(reviewed(on("redis", ""), on("redis", f"{option}: x")), OPTIONS)
    assert change.risk is Class.MANUAL
    assert f"`{getattr(redis.Channel, option)}`" in change.because
    assert "visibility timeout" in change.because


def test_new_levels_do_not_hide_what_is_to_be_done_by_hand():
    change = at(reviewed(on("redis", ""), on("redis", "priority_steps: [0, 5], unacked_key: x")), OPTIONS)
    assert change.risk is Class.MANUAL
    assert "priority levels" in change.because
    assert "`unacked`" in change.because


HEARD = {
    "redis": "fanout_prefix: false",
    "sqs": "supports_fanout: true",
    "filesystem": "control_folder: x",
}


@pytest.mark.parametrize("transport", HEARD)
def test_who_hears_what_is_sent_to_all_changes_by_hand(transport):
    change = at(reviewed(on(transport, ""), on(transport, HEARD[transport])), OPTIONS)
    assert change.risk is Class.MANUAL
    assert "broadcasts" in change.because


GIVEN_UP = {"redis": ("ack_emulation", "killed"), "rabbitmq": ("confirm_publish", "confirmation")}


@pytest.mark.parametrize("transport", GIVEN_UP)
def test_an_option_that_keeps_messages_is_not_given_up_without_a_loss(transport):
    option, because = GIVEN_UP[transport]
    kept, lost, spelt_out = (on(transport, more) for more in ("", f"{option}: false", f"{option}: true"))
    for old in (kept, spelt_out):
        change = at(reviewed(old, lost), OPTIONS)
        assert change.risk is Class.LOSSY
        assert because in change.because
        assert at(reviewed(lost, old), OPTIONS).risk is Class.SAFE


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ("priority_steps: [0, 5]", "priority levels"),
        ("unacked_key: x", "`unacked`"),
        ("sep: x", "cannot see each other's messages"),
    ],
)
def test_what_is_lost_does_not_hide_what_else_has_to_be_done(more, because):
    change = at(reviewed(on("redis", ""), on("redis", f"ack_emulation: false, {more}")), OPTIONS)
    assert change.risk is Class.LOSSY
    assert "killed" in change.because
    assert because in change.because


@pytest.mark.parametrize(("old", "new"), [("1m", "3h"), ("3h", "1m")])
def test_queues_of_sqs_are_told_another_visibility_timeout_by_hand(old, new):
    sides = (on("sqs", "").replace("queue: q", f"queue: q, max_countdown: {each}") for each in (old, new))
    change = at(reviewed(*sides), "app/visibility_timeout_seconds")
    assert change.risk is Class.MANUAL
    assert "`VisibilityTimeout`" in change.because


def test_another_address_to_read_from_is_another_broker():
    old = on("redis", "")
    found = reviewed(old, old + "\ncelery: {settings: {broker_read_url: 'redis://there'}}")
    assert at(found, "app/broker_read_url").risk is Class.MANUAL


def test_the_defaults_are_those_of_kombu(tmp_path, monkeypatch):
    channel = redis.Channel
    assert (channel.unacked_key, channel.unacked_index_key) == ("unacked", "unacked_index")
    assert (channel.global_keyprefix, channel.sep) == ("", "\x06\x16")
    assert (channel.fanout_prefix, channel.fanout_patterns) == (True, True)
    monkeypatch.chdir(tmp_path)
    with Connection("filesystem://") as connection:
        files = connection.channel()
        assert (files.data_folder_in, files.data_folder_out) == ("data_in", "data_out")
        assert str(files.control_folder) == "control"


TIMEOUT = "tasks: {a: {queue: q}}\nqueues: {q: {arguments: {x-consumer-timeout: %s}}}\n"
RABBIT = "broker: {transport: rabbitmq, url: '${B}', version: '%s'}\n"


def test_another_memory_of_redis_needs_a_look_at_the_server():
    text = "tasks: {a: {rate: %s, payload: 4KiB}}\n"
    found = at(reviewed(text % "10/s", text % "20/s"), "app/server.maxmemory")
    assert (found.kind, found.risk) == ("broker-server", Class.MANUAL)
    assert "check with `redis-cli INFO memory` that Redis uses less" in found.because


@pytest.mark.parametrize(("version", "risk"), [("3.13", Class.MANUAL), ("4.0", Class.SAFE)])
def test_another_consumer_timeout_replaces_no_queue(version, risk):
    """RabbitMQ keeps the old one; in RabbitMQ 4 a policy changes it."""
    old, new = (RABBIT % version + TIMEOUT % each for each in (3600000, 7200000))
    found = reviewed(old, new)
    assert at(found, "queue:q/arguments.x-consumer-timeout").risk is risk
    assert "q.v2" not in " ".join(step.action for step in found.steps)
    if version == "4.0":
        assert at(found, "queue:q/broker_policy").risk is Class.SAFE
