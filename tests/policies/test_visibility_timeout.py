"""No message is given to a second worker while the first holds it."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import visibility_timeout

DECIDES = {
    "Celery's own default": (
        "tasks: {shop.a: }",
        {
            "app/visibility_timeout_seconds": (
                3600,
                "Celery's own default: nothing declared holds a message for longer",
            ),
        },
    ),
    "a late-acknowledged run": (
        "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}",
        {
            "app/visibility_timeout_seconds": (15552, "shop.a may run 10368 s, and half as much again"),
        },
    ),
    "a countdown": (
        "tasks: {shop.a: {max_countdown: 1d}}",
        {
            "app/visibility_timeout_seconds": (
                129600,
                "shop.a may be sent with a countdown of 86400 s, and half as much again",
            ),
        },
    ),
    "a wait before a retry": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], max_delay: 2h}}}",
        {
            "app/visibility_timeout_seconds": (
                11448,
                (
                    "a retry of shop.a may wait 7200 s and then run 432 s, together 7632 s, "
                    "and half as much again"
                ),
            ),
        },
    ),
    "a pinned wait before a retry": (
        "tasks: {shop.a: {options: {default_retry_delay: 7200}}}",
        {
            "app/visibility_timeout_seconds": (
                10800,
                "a retry of shop.a may wait 7200 s, and half as much again",
            ),
        },
    ),
    "a reserve": (
        (
            "tasks: {shop.a: {queue: q, latency: batch, runtime: 2h}}\n"
            "workers: {q: {options: {prefetch_multiplier: 3}}}"
        ),
        {
            "app/visibility_timeout_seconds": (
                46656,
                ("in reserve behind shop.a, a message of q may be held 31104 s, and half as much again"),
            ),
        },
    ),
    "the twelve hours of SQS": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 8h}}",
        {
            "app/visibility_timeout_seconds": (
                43200,
                "shop.a may be sent with a countdown of 28800 s, and half as much again",
            ),
        },
    ),
    "more than SQS allows": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 9h}}",
        {
            "app/visibility_timeout_seconds": (
                43200,
                "shop.a may be sent with a countdown of 32400 s, and SQS allows no more than this",
            ),
        },
    ),
    "pinned": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 2h}",
        {
            "app/visibility_timeout_seconds": (7200, "pinned in the workload"),
        },
    ),
    "pinned as an option": (
        "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 7200}}",
        {
            "app/visibility_timeout_seconds": (7200, "pinned in the workload"),
        },
    ),
}
STAYS_SILENT = {
    "rabbitmq has none": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/visibility_timeout_seconds"],
    ),
    "filesystem has none": (
        "broker: {transport: filesystem, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/visibility_timeout_seconds"],
    ),
    "memory has none": (
        "broker: {transport: memory, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/visibility_timeout_seconds"],
    ),
}
LEADS_TO = {
    "the longest hold": (
        "tasks: {shop.a: {max_countdown: 1d}, shop.b: {max_countdown: 2d}}",
        "app/visibility_timeout_seconds",
        ["task:shop.b/max_countdown_seconds", "MARGIN"],
    ),
    "the pin": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 2h}",
        "app/visibility_timeout_seconds",
        ["1:61"],
    ),
    "the policy": ("tasks: {}", "app/visibility_timeout_seconds", ["LEAST_SECONDS"]),
}
REFUSES = {
    "a schedule sends with a countdown longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.*: {}}\n"
            "schedules: {s: {task: shop.a, every: 2d, options: {countdown: 86400}}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:61",
                (
                    "a message is given to a second worker after 3600 s, but shop.* may be sent with a "
                    "countdown of 86400 s"
                ),
                "remove the pin (the compiler then sets 129600 s), or make the times shorter",
            ),
        ],
    ),
    "a broker that has none": (
        "broker: {transport: rabbitmq, url: '${U}', visibility_timeout: 1h}\ntasks: {shop.a: }",
        [
            Found(
                "visibility-timeout-unused",
                "1:64",
                "rabbitmq has no visibility timeout; this one changes nothing",
                "remove it",
            )
        ],
    ),
    "a pin that SQS refuses": (
        "broker: {transport: sqs, url: '${U}', visibility_timeout: 13h}\ntasks: {shop.a: }",
        [
            Found(
                "visibility-timeout-over-sqs",
                "1:59",
                "a visibility timeout of 46800 s; SQS allows at most 43200 s",
                "lower it, or remove it",
            )
        ],
    ),
    "a run is longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}"
        ),
        [
            Found(
                "late-ack-run-over-visibility",
                "1:61",
                "a message is given to a second worker after 3600 s, but shop.a may run 10368 s",
                "remove the pin (the compiler then sets 15552 s), or make the times shorter",
            ),
        ],
    ),
    "a countdown is longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 3600}}\n"
            "tasks: {shop.a: {max_countdown: 1d}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:71",
                (
                    "a message is given to a second worker after 3600 s, but shop.a may be sent with a "
                    "countdown of 86400 s"
                ),
                "remove the pin (the compiler then sets 129600 s), or make the times shorter",
            ),
        ],
    ),
    "a retry waits longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {idempotent: true, runtime: 1s, retry: {on: [OSError], max_delay: "
            "2h}}}"
        ),
        [
            Found(
                "retry-delay-over-visibility",
                "1:61",
                (
                    "a message is given to a second worker after 3600 s, but a retry of shop.a may wait "
                    "7200 s and then run 7 s, together 7207 s"
                ),
                "remove the pin (the compiler then sets 10811 s), or make the times shorter",
            ),
        ],
    ),
    "a reserve waits longer than the pin": (
        ("broker: {transport: redis, url: '${U}', visibility_timeout: 10m}\ntasks: {shop.a: {runtime: 8m}}"),
        [
            Found(
                "reserve-over-visibility",
                "1:61",
                (
                    "a message is given to a second worker after 600 s, but in reserve behind shop.a, "
                    "a message of shop.standard.io.long may be held 692 s"
                ),
                "remove the pin (the compiler then sets 3600 s), or make the times shorter",
            ),
        ],
    ),
    "longer than SQS allows": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 13h}}",
        [
            Found(
                "eta-over-visibility",
                "1:21",
                (
                    "a message is given to a second worker after 43200 s, but shop.a may be sent with "
                    "a countdown of 46800 s"
                ),
                "SQS allows at most 43200 s: make the times shorter",
            ),
        ],
    ),
    "a pin on SQS": (
        (
            "broker: {transport: sqs, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {max_countdown: 13h}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:59",
                (
                    "a message is given to a second worker after 3600 s, but shop.a may be sent with a "
                    "countdown of 46800 s"
                ),
                "remove the pin (the compiler then sets 43200 s), or make the times shorter",
            ),
        ],
    ),
}
ACCEPTS = {
    "the pin is long enough": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 3h}\n"
        "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}"
    ),
    "SQS bears it": "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 8h}}",
    "acknowledged early": (
        "tasks: {shop.a: {queue: q, latency: batch, runtime: 2h}}\n"
        "broker: {transport: redis, url: '${U}', visibility_timeout: 4h}"
    ),
    "another app's run": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
        "tasks: {shop.a: {external: true, queue: q, runtime: 2h, idempotent: true, "
        "options: {acks_late: true}}}"
    ),
    "RabbitMQ gives nothing away": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {shop.a: {max_countdown: 20d}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(visibility_timeout, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(visibility_timeout, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(visibility_timeout, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(visibility_timeout, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(visibility_timeout, fragment).findings == []
