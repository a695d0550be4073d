"""Patience with the broker, and honesty about what it took."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import broker_connection

DECIDES = {
    "by default": (
        "tasks: {}",
        {
            "app/broker_connection_retry_on_startup": (True, "workers and broker start in any order"),
            "app/broker_connection_max_retries": (None, "a worker that gives up needs a person"),
            "app/worker_cancel_long_running_tasks_on_connection_loss": (
                True,
                "the broker has given the message to another worker already",
            ),
            "app/broker_pool_limit": (10, "enough for a process with few threads"),
            "app/broker_transport_options": (
                {"visibility_timeout": 3600},
                "longer than anything that holds a message",
            ),
        },
    ),
    "RabbitMQ confirms": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {}",
        {
            "app/broker_transport_options": (
                {"confirm_publish": True},
                "a publish that the broker did not take is an error",
            ),
        },
    ),
    "what is pinned wins": (
        "broker: {transport: rabbitmq, url: '${U}', options: {confirm_publish: false}}",
        {
            "app/broker_transport_options": (
                {"confirm_publish": False},
                "a publish that the broker did not take is an error; the rest as written",
            ),
        },
    ),
    "the rest as written": (
        "broker: {transport: redis, url: '${U}', options: {global_keyprefix: shop}}",
        {
            "app/broker_transport_options": (
                {"visibility_timeout": 3600, "global_keyprefix": "shop"},
                "longer than anything that holds a message; the rest as written",
            ),
        },
    ),
    "threads publish at once": (
        "queues: {q: {}}\nworkers: {q: {pool: threads, concurrency: 40}}",
        {
            "app/broker_pool_limit": (40, "as many as slots that publish at once"),
        },
    ),
    "within bounds": (
        "queues: {q: {}}\nworkers: {q: {pool: gevent, concurrency: 1000}}",
        {
            "app/broker_pool_limit": (100, "as many as slots that publish at once"),
        },
    ),
    "processes do not share": (
        "queues: {q: {}}\nworkers: {q: {concurrency: 40}}",
        {
            "app/broker_pool_limit": (10, "enough for a process with few threads"),
        },
    ),
    "autoscale has no fixed number": (
        "queues: {q: {}}\nworkers: {q: {pool: gevent, concurrency: {min: 1, max: 90}}}",
        {
            "app/broker_pool_limit": (10, "enough for a process with few threads"),
        },
    ),
}
STAYS_SILENT = {
    "pinned": (
        (
            "celery: {settings: {broker_connection_retry_on_startup: false, "
            "broker_connection_max_retries: 5, broker_pool_limit: null}}"
        ),
        [
            "app/broker_connection_retry_on_startup",
            "app/broker_connection_max_retries",
            "app/broker_pool_limit",
        ],
    ),
    "nothing to say": (
        "broker: {transport: memory, url: '${U}'}\ntasks: {}",
        ["app/broker_transport_options"],
    ),
}
LEADS_TO = {
    "what it was made of": (
        "broker: {transport: redis, url: '${U}', options: {a: 1}}",
        "app/broker_transport_options",
        ["app/broker_transport", "app/visibility_timeout_seconds", "1:50"],
    ),
    "the most slots": (
        "queues: {q: {}}\nworkers: {q: {pool: threads, concurrency: 40}}",
        "app/broker_pool_limit",
        ["worker:q/concurrency", "MOST_CONNECTIONS"],
    ),
}
REFUSES = {
    "given twice": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 2h, options: "
            "{visibility_timeout: 7200}}"
        ),
        [
            Found(
                "visibility-timeout-twice",
                "1:95",
                "the visibility timeout is given twice",
                "keep one of them",
            ),
        ],
    ),
}
ACCEPTS = {
    "given once": "broker: {transport: redis, url: '${U}', visibility_timeout: 2h, options: {a: 1}}",
    "given as an option": ("broker: {transport: redis, url: '${U}', options: {visibility_timeout: 7200}}"),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(broker_connection, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(broker_connection, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(broker_connection, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(broker_connection, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(broker_connection, fragment).findings == []
