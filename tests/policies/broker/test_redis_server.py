"""What Redis is told, and how much memory the declared messages need."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import redis_server
from policycompiler.policies.broker.redis_server import ENVELOPE, Parameters

MIB = 2**20
# 3 bytes of payload are 5 in Redis.
ONE = "tasks: {shop.a: {queue: q, rate: 8/s, payload: 3072B}}\n"
PLAIN = {redis_server.NAME: Parameters(outage=3600, headroom=1.0)}
DOUBLE = {redis_server.NAME: Parameters(outage=7200, headroom=3.0)}


def memory(fragment: str, tuning=PLAIN) -> float | None:
    found = after(redis_server, fragment, tuning).decided.get("app/broker_memory_bytes")
    return None if found is None else found[0]


def rounded(count: float) -> int:
    return -(-int(count) // MIB) * MIB


def test_no_message_is_evicted_and_none_is_lost_with_a_restart():
    found = after(redis_server, "tasks: {shop.a: {}}\n").decided
    assert {key: value for key, (value, _) in found.items()} == {
        "app/server.maxmemory-policy": "noeviction",
        "app/server.appendonly": "yes",
        "app/server.appendfsync": "everysec",
        "app/server.tcp-keepalive": 60,
        "app/server.databases": 16,
    }


def test_the_memory_is_for_what_arrives_in_an_outage():
    assert memory(ONE) == rounded(8 * 3600 * (5120 + ENVELOPE))
    assert memory(ONE, DOUBLE) == rounded(3 * 8 * 7200 * (5120 + ENVELOPE))


def test_an_outage_may_come_at_the_busiest_time():
    busy = ONE.replace("rate: 8/s", "rate: {mean: 8/s, peak: 20/s}, burst: 1000")
    assert memory(busy) == rounded((20 * 3600 + 1000) * (5120 + ENVELOPE))


def test_maxmemory_is_that_memory_in_redis_own_words():
    found = after(redis_server, ONE, PLAIN)
    value, _ = found.decided["app/server.maxmemory"]
    assert value == f"{memory(ONE) // MIB}mb"
    assert found.origins["app/server.maxmemory"] == ["app/broker_memory_bytes"]


def test_results_that_redis_keeps_count_for_as_long_as_it_keeps_them():
    results = "results: {backend: redis, url: '${R}', keep: 2h}\n"
    kept = f"{results}tasks: {{shop.a: {{queue: q, rate: 8/s, payload: 3072B, result: keep}}}}\n"
    ignored = kept.replace("result: keep", "result: ignore")
    of_messages = 8 * 3600 * (5120 + ENVELOPE)
    assert memory(kept) == rounded(of_messages + 8 * 7200 * (1024 + ENVELOPE))
    assert memory(ignored) == rounded(of_messages)
    assert memory(kept.replace("backend: redis", "backend: database")) == rounded(of_messages)


def test_a_small_service_has_the_least_memory():
    assert memory("tasks: {shop.a: {rate: 1/h, payload: 1KiB}}\n") == 64 * MIB


UNKNOWN = {
    "no tasks": "",
    "no rate": "tasks: {shop.a: {payload: 1KiB}}\n",
    "no payload": "tasks: {shop.a: {rate: 1/s}}\n",
    "one of two": "tasks: {shop.a: {rate: 1/s, payload: 1KiB}, shop.b: {}}\n",
    "results for ever": (
        "results: {backend: redis, url: '${R}'}\n"
        "celery: {settings: {result_expires: 0}}\n"
        "tasks: {shop.a: {rate: 1/s, payload: 1KiB, result: keep}}\n"
    ),
}


@pytest.mark.parametrize("fragment", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_declared_has_no_limit(fragment):
    assert memory(fragment) is None
    assert "app/server.maxmemory" not in after(redis_server, fragment).decided


@pytest.mark.parametrize(
    ("url", "databases"),
    [
        ("redis://h/3", 16),
        ("redis://h/15", 16),
        ("redis://h/16", 17),
        ("redis://h:99/", 16),
        ("redis://h/99999999999", 16),
    ],
)
def test_there_is_a_database_of_every_number_that_a_url_names(url, databases):
    found = after(redis_server, f"broker: {{transport: redis, url: '{url}'}}\n").decided
    assert found["app/server.databases"][0] == databases


@pytest.mark.parametrize("transport", ["rabbitmq", "sqs", "memory", "filesystem"])
def test_other_brokers_have_none_of_this(transport):
    assert after(redis_server, f"broker: {{transport: {transport}, url: '${{B}}'}}\n").decided == {}
