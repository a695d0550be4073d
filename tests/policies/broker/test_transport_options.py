"""What is pinned for connections is understood by what makes them."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.broker import transport_options

REFUSES = {
    "misspelled": (
        "broker: {transport: redis, url: '${U}', options: {visibilty_timeout: 5}}",
        [
            Found(
                "unknown-transport-option",
                "1:51",
                "`visibilty_timeout` is not an option of redis and would be silently ignored",
                "did you mean `visibility_timeout`?",
            ),
        ],
    ),
    "misspelled for RabbitMQ": (
        "broker: {transport: rabbitmq, url: '${U}', options: {confirm_publishes: true}}",
        [
            Found(
                "unknown-transport-option",
                "1:54",
                "`confirm_publishes` is not an option of rabbitmq and would be silently ignored",
                "did you mean `confirm_publish`?",
            ),
        ],
    ),
    "resembling none": (
        "broker: {transport: memory, url: '${U}', options: {zzz: 1}}",
        [
            Found(
                "unknown-transport-option",
                "1:52",
                "`zzz` is not an option of memory and would be silently ignored",
                (
                    "use one of: body_encoding, callback, connect_retries_timeout, deadletter_queue, "
                    "errback, interval_max, interval_start, interval_step, max_retries, polling_interval"
                ),
            ),
        ],
    ),
    "misspelled in a predefined queue": (
        "broker: {transport: sqs, url: '${U}', options: {predefined_queues: {a: {uri: x}}}}",
        [
            Found(
                "unknown-transport-option",
                "1:73",
                "`uri` is not a key of a predefined queue and would be silently ignored",
                "did you mean `url`?",
            ),
        ],
    ),
    "another broker's": (
        "broker: {transport: redis, url: '${U}', options: {confirm_publish: true}}",
        [
            Found(
                "transport-option-unused",
                "1:51",
                "`confirm_publish` is an option of rabbitmq; redis silently ignores it",
                "remove `confirm_publish`",
            ),
        ],
    ),
    "two other brokers'": (
        "broker: {transport: rabbitmq, url: '${U}', options: {polling_interval: 1}}",
        [
            Found(
                "transport-option-unused",
                "1:54",
                (
                    "`polling_interval` is an option of redis and sqs and filesystem and memory; rabbitmq "
                    "silently ignores it"
                ),
                "remove `polling_interval`",
            ),
        ],
    ),
    "a visibility timeout that is text": (
        "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 1h}}",
        [
            Found(
                "wrong-transport-option-type",
                "1:71",
                "`visibility_timeout` must be a positive number of seconds",
                "write a number of seconds",
            ),
        ],
    ),
    "a visibility timeout of nothing": (
        "broker: {transport: sqs, url: '${U}', options: {visibility_timeout: 0}}",
        [
            Found(
                "wrong-transport-option-type",
                "1:69",
                "`visibility_timeout` must be a positive number of seconds",
                "write a number of seconds",
            ),
        ],
    ),
    "text for another number": (
        "broker: {transport: redis, url: '${U}', options: {socket_timeout: 5s}}",
        [
            Found(
                "wrong-transport-option-type",
                "1:67",
                "`socket_timeout` must be a number",
                "write a number",
            ),
        ],
    ),
    "what the kombu of this Celery does not know": (
        "celery: {version: '5.5'}\nbroker: {transport: redis, url: '${U}', options: {client_name: shop}}",
        [
            Found(
                "transport-option-newer-than-target",
                "2:51",
                ("the kombu version of Celery 5.5 does not support `client_name` and silently ignores it"),
                "remove it, or run Celery 5.7",
            ),
        ],
    ),
    "misspelled for the results": (
        (
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {settings: {result_backend_transport_options: {global_key_prefix: a}}}"
        ),
        [
            Found(
                "unknown-transport-option",
                "2:56",
                ("`global_key_prefix` is not an option of the redis backend and would be silently ignored"),
                "did you mean `global_keyprefix`?",
            ),
        ],
    ),
    "misspelled in the results' retry policy": (
        (
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {settings: {result_backend_transport_options: {retry_policy: {timeouts: 5}}}}"
        ),
        [
            Found(
                "unknown-transport-option",
                "2:71",
                "`timeouts` is not a key of a retry policy and would be silently ignored",
                "did you mean `timeout`?",
            ),
        ],
    ),
}
ACCEPTS = {
    "none": "tasks: {}",
    "Redis's": (
        "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 7200, fanout_prefix: "
        "true, fanout_patterns: true, priority_steps: [0, 5], sep: ':', queue_order_strategy: "
        "priority, global_keyprefix: shop, socket_timeout: 5.5, socket_keepalive: true, "
        "max_connections: 20, health_check_interval: 25, retry_on_timeout: true}}"
    ),
    "Sentinel's": (
        "broker: {transport: redis, url: '${U}', options: {master_name: shop, sentinel_kwargs: "
        "{anything: 1}, min_other_sentinels: 1}}"
    ),
    "RabbitMQ's": (
        "broker: {transport: rabbitmq, url: '${U}', options: {confirm_publish: true, "
        "client_properties: {anything: 1}, read_timeout: 5, login_method: PLAIN, socket_settings: "
        "{anything: 1}}}"
    ),
    "SQS's": (
        "broker: {transport: sqs, url: '${U}', options: {region: eu-west-1, polling_interval: 1, "
        "wait_time_seconds: 10, queue_name_prefix: a-, predefined_queues: {a: {url: x, "
        "backoff_policy: {1: 10}, backoff_tasks: [shop.a], region: eu}}, sqs-creation-attributes: "
        "{anything: 1}, client-config: {anything: 1}}}"
    ),
    "the filesystem's": (
        "broker: {transport: filesystem, url: '${U}', options: {data_folder_in: a, data_folder_out: "
        "b, store_processed: true, control_folder: c}}"
    ),
    "of every connection": (
        "broker: {transport: memory, url: '${U}', options: {max_retries: 3, interval_start: 0, "
        "interval_step: 0.2, interval_max: 1, connect_retries_timeout: 5}}"
    ),
    "no limit": "broker: {transport: redis, url: '${U}', options: {socket_timeout: null}}",
    "a visibility timeout where there is none, which another policy names": (
        "broker: {transport: rabbitmq, url: '${U}', options: {visibility_timeout: 5}}"
    ),
    "the results'": (
        "results: {backend: redis, url: '${R}'}\n"
        "celery: {settings: {result_backend_transport_options: {master_name: a, visibility_timeout: "
        "5, retry_policy: {timeout: 5.0, max_retries: 2}}}}"
    ),
    "results that read none": (
        "results: {backend: database, url: '${R}'}\n"
        "celery: {settings: {result_backend_transport_options: {zzz: 1}}}"
    ),
    "no results": "celery: {settings: {result_backend_transport_options: {zzz: 1}}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(transport_options, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(transport_options, fragment).findings == []
