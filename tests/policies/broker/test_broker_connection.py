"""Patience with the broker, and honesty about what it took."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.broker import broker_connection

SWEEP = {"unacked_restore_interval": 10, "unacked_restore_throttle": 1}
DECIDES = {
    "by default": (
        "tasks: {}",
        {
            "app/broker_connection_retry_on_startup": (True, "workers and broker start in any order"),
            "app/broker_connection_max_retries": (
                None,
                ("a worker that stops reconnecting needs a manual restart"),
            ),
            "app/worker_cancel_long_running_tasks_on_connection_loss": (
                True,
                "after a lost connection the broker redelivers the messages of these runs to other workers",
            ),
            "app/broker_pool_limit": (10, "10 connections are enough for a process with few threads"),
            "app/broker_transport_options": (
                {"visibility_timeout": 3600, **SWEEP, "socket_timeout": 30.0},
                (
                    "the visibility timeout is longer than a worker holds any message; workers look every 10 s for "
                    "messages past their timeout, not every 100 s; `socket_timeout` "
                    "detects dead connections"
                ),
            ),
        },
    ),
    "RabbitMQ confirms": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {}",
        {
            "app/broker_transport_options": (
                {"confirm_publish": True},
                "a publisher gets an error if the broker did not accept its message",
            ),
        },
    ),
    "what is pinned wins": (
        "broker: {transport: rabbitmq, url: '${U}', options: {confirm_publish: false}}",
        {
            "app/broker_transport_options": (
                {"confirm_publish": False},
                (
                    "a publisher gets an error if the broker did not accept its message; the workload pins "
                    "the other options"
                ),
            ),
        },
    ),
    "the rest as written": (
        "broker: {transport: redis, url: '${U}', options: {global_keyprefix: shop}}",
        {
            "app/broker_transport_options": (
                {"visibility_timeout": 3600, **SWEEP, "socket_timeout": 30.0, "global_keyprefix": "shop"},
                (
                    "the visibility timeout is longer than a worker holds any message; workers look every 10 s for "
                    "messages past their timeout, not every 100 s; `socket_timeout` "
                    "detects dead connections; the workload pins the other options"
                ),
            ),
        },
    ),
    "threads publish at once": (
        "queues: {q: {}}\nworkers: {q: {pool: threads, concurrency: 40}}",
        {
            "app/broker_pool_limit": (40, "up to 40 slots of one process may publish at once"),
        },
    ),
    "within bounds": (
        "queues: {q: {}}\nworkers: {q: {pool: gevent, concurrency: 1000}}",
        {
            "app/broker_pool_limit": (100, "up to 1000 slots of one process may publish at once"),
        },
    ),
    "processes do not share": (
        "queues: {q: {}}\nworkers: {q: {concurrency: 40}}",
        {
            "app/broker_pool_limit": (10, "10 connections are enough for a process with few threads"),
        },
    ),
    "autoscale has no fixed number": (
        "queues: {q: {}}\nworkers: {q: {pool: gevent, concurrency: {min: 1, max: 90}}}",
        {
            "app/broker_pool_limit": (10, "10 connections are enough for a process with few threads"),
        },
    ),
    "SQS has no remote control": (
        "broker: {transport: sqs, url: '${U}'}",
        {
            "app/worker_enable_remote_control": (False, "SQS does not support remote control"),
        },
    ),
}
STAYS_SILENT = {
    "SQS with its fan-out": (
        "broker: {transport: sqs, url: '${U}', options: {supports_fanout: true}}",
        ["app/worker_enable_remote_control"],
    ),
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
        [
            "app/broker_transport",
            "app/visibility_timeout_seconds",
            "app/celery_version",
            "parameters.broker-connection.socket_timeout_seconds",
            "1:50",
        ],
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
                "the visibility timeout is set twice",
                "remove one of the two visibility timeouts",
            ),
        ],
    ),
    "unconfirmed, to a classic queue": (
        "broker: {transport: rabbitmq, url: '${U}', version: '3.13', options: {confirm_publish: false}}",
        [
            Found(
                "publish-unconfirmed",
                "1:88",
                "if RabbitMQ does not accept a message, it is lost, and its publisher sees no error",
                "remove `confirm_publish`, which is on by default",
            ),
        ],
    ),
    "unconfirmed, to a quorum queue": (
        "broker: {transport: rabbitmq, url: '${U}', options: {confirm_publish: false}}",
        [
            Found(
                "quorum-confirm",
                "1:71",
                (
                    "queue shop.standard.io is a quorum queue, where most nodes must store a message: "
                    "without a confirmation the publisher does not see that they did not"
                ),
                "remove `confirm_publish`, which is on by default",
            ),
        ],
    ),
    "sends that never end": (
        "celery: {settings: {task_publish_retry_policy: {max_retries: null}}}",
        [
            Found(
                "publish-retry-unbounded",
                "1:48",
                (
                    "without `max_retries` a connected process retries a send without end while the broker "
                    "is down"
                ),
                "write `max_retries`, such as 3",
            ),
        ],
    ),
    "what SQS does not carry": (
        (
            "broker: {transport: sqs, url: '${U}'}\n"
            "celery: {settings: {worker_enable_remote_control: true, worker_send_task_events: true}}"
        ),
        [
            Found(
                "sqs-limits",
                "2:51",
                (
                    "SQS supports neither events nor remote control; `worker_enable_remote_control: true` "
                    "has no effect"
                ),
                "remove `worker_enable_remote_control`",
            ),
            Found(
                "sqs-limits",
                "2:82",
                (
                    "SQS supports neither events nor remote control; `worker_send_task_events: true` has "
                    "no effect"
                ),
                "remove `worker_send_task_events`",
            ),
        ],
    ),
    "names for numbers": (
        ("broker: {transport: redis, url: '${U}', options: {socket_keepalive_options: {KEEPIDLE: 60}}}"),
        [
            Found(
                "redis-keepalive-names",
                "1:78",
                "`KEEPIDLE` is not a socket option, so no process can connect",
                "did you mean `TCP_KEEPIDLE`?",
            ),
        ],
    ),
}
ACCEPTS = {
    "no retries of a send": (
        "celery: {settings: {task_publish_retry: false, task_publish_retry_policy: {interval_max: 1}}}"
    ),
    "numbers and constants of socket options": (
        "broker: {transport: redis, url: '${U}', "
        "options: {socket_keepalive_options: {5: 15, TCP_KEEPIDLE: 60, TCP_KEEPCNT: 3}}}"
    ),
    "given once": "broker: {transport: redis, url: '${U}', visibility_timeout: 2h, options: {a: 1}}",
    "given as an option": ("broker: {transport: redis, url: '${U}', options: {visibility_timeout: 7200}}"),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(broker_connection, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(broker_connection, fragment, for_its_rabbitmq(fragment)).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(broker_connection, fragment, for_its_rabbitmq(fragment)).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(broker_connection, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(broker_connection, fragment, for_its_rabbitmq(fragment)).findings == []


@pytest.mark.parametrize(
    ("worker", "most"),
    [
        ("{pool: threads, concurrency: 50}", 56),
        ("{pool: gevent, concurrency: 200}", 206),
        # kombu's own 10 are enough.
        ("{pool: threads, concurrency: 4}", None),
        # Each slot is a process with a client of its own.
        ("{pool: prefork, concurrency: 50}", None),
    ],
)
def test_a_client_of_redis_has_a_connection_for_each_slot(worker: str, most: int | None):
    """With fewer, acknowledgments fail, and their messages run again after the visibility timeout."""
    fragment = f"queues: {{q: {{}}}}\nworkers: {{q: {worker}}}"
    options = after(broker_connection, fragment).decided["app/broker_transport_options"][0]
    assert isinstance(options, dict)
    assert options.get("max_connections") == most


def test_a_pinned_number_of_connections_stays():
    fragment = (
        'broker: {transport: redis, url: "${B}", options: {max_connections: 20}}\n'
        "queues: {q: {}}\nworkers: {q: {pool: threads, concurrency: 50}}"
    )
    options = after(broker_connection, fragment).decided["app/broker_transport_options"][0]
    assert isinstance(options, dict)
    assert options["max_connections"] == 20
